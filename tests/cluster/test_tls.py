"""TLS at the gateway, with a certificate of the test's own authority."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.cluster.kubectl import Cluster
from tests.cluster.product import Product, Release
from tests.cluster.target import LET_IN
from tests.cluster.waiting import eventually

HOST = "secure.example.test"


def certify(folder: Path) -> None:
    """ca.crt, tls.crt and tls.key."""
    (folder / "openssl.cnf").write_text("[req]\ndistinguished_name = name\n[name]\n")
    common = ["openssl", "req", "-x509", "-config", "openssl.cnf", "-nodes", "-days", "1", "-newkey", "rsa:2048"]
    authority = ["-subj", "/CN=test", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", "ca.key"]
    signed = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-CA", "ca.crt", "-CAkey", "ca.key"]
    for arguments in ([*authority, "-out", "ca.crt"], [*signed, "-keyout", "tls.key", "-out", "tls.crt"]):
        subprocess.run([*common, *arguments], cwd=folder, check=True, capture_output=True)


def test_an_ingress_answers_over_tls_with_the_given_certificate(
    cluster: Cluster, release: Release, product: Product, tmp_path: Path
) -> None:
    if not cluster.https:
        pytest.skip("GATEWAY_HTTPS names no gateway")
    certify(tmp_path)
    files = (f"--cert={tmp_path}/tls.crt", f"--key={tmp_path}/tls.key")
    cluster.kubectl("-n", release.namespace, "create", "secret", "tls", "door", *files)
    tls = [{"hosts": [HOST], "secretName": "door"}]
    ingress = {"enabled": True, "className": "contour", "hosts": [HOST], "tls": tls}
    release.install(product.values | {"ingress": ingress, "networkPolicy": LET_IN})

    trusted = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    expected, image = next(iter(product.golden.items()))
    # The name is what the certificate and the route go by; the address is the gateway's.
    extensions = {"sni_hostname": HOST}
    with httpx.Client(verify=trusted, base_url=cluster.https, headers={"Host": HOST}) as client:

        def routed() -> bool:
            try:
                return client.get("/readyz", extensions=extensions).status_code == 200
            except httpx.TransportError:
                return False

        eventually(routed, "a route over TLS")
        files_sent = {"file": ("image.jpg", image, "image/jpeg")}
        answer = client.post("/predict", files=files_sent, extensions=extensions)
    assert answer.json()["predicted_class"] == expected
