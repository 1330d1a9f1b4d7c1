"""Ingress and Gateway API lead to the service, over plain HTTP and TLS; bodies that are too large are refused."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cluster.kubectl import Cluster
from tests.cluster.product import Product, Release
from tests.cluster.target import ADMIT_GATEWAY, PARENTS
from tests.cluster.waiting import eventually

SECURE = "secure.example.test"
GATEWAY = ("gateway", PARENTS[0]["name"], "--namespace", PARENTS[0]["namespace"])


def door(kind: str, host: str, **more: object) -> dict[str, object]:
    opened = {
        "ingress": {"enabled": True, "className": "contour", "hosts": [host]},
        "httpRoute": {"enabled": True, "parentRefs": PARENTS, "hostnames": [host]},
    }
    return {kind: opened[kind] | more, "networkPolicy": ADMIT_GATEWAY}


def answers(client: httpx.Client, product: Product, host: str) -> None:
    """Wait for the route, then check that real images get their classes."""
    # Certificate and route go by the host name, while the address is the gateway's.
    extensions, headers = {"sni_hostname": host}, {"Host": host}

    def routed() -> bool:
        try:
            return client.get("/v2/health/ready", headers=headers, extensions=extensions).status_code == 200
        except httpx.TransportError:
            return False

    eventually(routed, "a route to the service")
    for expected, image in product.golden.items():
        files = {"file": ("image.jpg", image, "image/jpeg")}
        answer = client.post("/predict", files=files, headers=headers, extensions=extensions)
        assert (answer.status_code, answer.json()["predicted_class"]) == (200, expected)
        assert answer.headers["X-Model-Version"] == product.model


@pytest.mark.parametrize("kind", ["ingress", "httpRoute"])
def test_the_gateway_classifies_real_images_and_refuses_large_bodies(
    cluster: Cluster, release: Release, product: Product, kind: str
) -> None:
    if not cluster.http:
        pytest.skip("GATEWAY_HTTP names no gateway")
    host = f"{kind.lower()}.example.test"
    release.install(product.values | door(kind, host) | {"settings": {"maxBodyBytes": 1_000_000}})
    with httpx.Client(base_url=cluster.http) as client:
        answers(client, product, host)
        large = {"file": ("image.jpg", b"\xff\xd8" + bytes(1_000_001))}
        assert client.post("/predict", headers={"Host": host}, files=large).status_code == 413


@pytest.fixture
def certificate(cluster: Cluster, release: Release, tmp_path: Path) -> Path:
    """Create a Secret `door` with a certificate, and return the path of its authority's certificate."""
    (tmp_path / "openssl.cnf").write_text("[req]\ndistinguished_name = name\n[name]\n")
    common = ["openssl", "req", "-x509", "-config", "openssl.cnf", "-nodes", "-days", "1", "-newkey", "rsa:2048"]
    authority = ["-subj", "/CN=test", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", "ca.key"]
    signed = ["-subj", f"/CN={SECURE}", "-addext", f"subjectAltName=DNS:{SECURE}", "-CA", "ca.crt", "-CAkey", "ca.key"]
    for arguments in ([*authority, "-out", "ca.crt"], [*signed, "-keyout", "tls.key", "-out", "tls.crt"]):
        subprocess.run([*common, *arguments], cwd=tmp_path, check=True, capture_output=True)
    files = (f"--cert={tmp_path}/tls.crt", f"--key={tmp_path}/tls.key")
    cluster.kubectl("-n", release.namespace, "create", "secret", "tls", "door", *files)
    return tmp_path / "ca.crt"


@pytest.fixture
def secure_gateway(cluster: Cluster, release: Release, certificate: Path) -> Iterator[ssl.SSLContext]:
    """Give the gateway an HTTPS listener with the certificate; yield a context that trusts its authority."""
    if not cluster.https:
        pytest.skip("GATEWAY_HTTPS names no gateway")
    # Allows the gateway to read a Secret of another namespace.
    grant = {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": "door"},
        "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": PARENTS[0]["namespace"]}],
            "to": [{"group": "", "kind": "Secret", "name": "door"}],
        },
    }
    cluster.apply(release.namespace, grant)
    listener = {
        "name": "https",
        "port": 443,
        "protocol": "HTTPS",
        "allowedRoutes": {"namespaces": {"from": "All"}},
        "tls": {"mode": "Terminate", "certificateRefs": [{"name": "door", "namespace": release.namespace}]},
    }
    before = cluster.get(*GATEWAY)["spec"]["listeners"]
    patch = [{"op": "replace", "path": "/spec/listeners", "value": [*before, listener]}]
    cluster.kubectl("patch", *GATEWAY, "--type=json", f"--patch={json.dumps(patch)}")
    try:
        yield ssl.create_default_context(cafile=str(certificate))
    finally:
        patch[0]["value"] = before
        cluster.kubectl("patch", *GATEWAY, "--type=json", f"--patch={json.dumps(patch)}")


def test_the_gateway_answers_over_tls_with_the_given_certificate(
    cluster: Cluster, release: Release, product: Product, secure_gateway: ssl.SSLContext
) -> None:
    release.install(product.values | door("httpRoute", SECURE))
    with httpx.Client(verify=secure_gateway, base_url=cluster.https) as client:
        answers(client, product, SECURE)
    # A client that doesn't trust the authority can't connect.
    with httpx.Client(base_url=cluster.https) as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY"):
        client.get("/v2/health/ready", headers={"Host": SECURE}, extensions={"sni_hostname": SECURE})
