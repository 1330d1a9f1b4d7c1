"""Issue the cluster's certificates with openssl, new ones for each start; one authority signs them all."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cluster.errors import ClusterError
from cluster.settings import API_SERVICE, CONTROL_PLANE, NODES, Settings

CONFIGURATION = "[req]\ndistinguished_name = name\n[name]\n"
API_NAMES = (
    *("DNS:localhost", "DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc"),
    *("DNS:kubernetes.default.svc.cluster.local", "IP:127.0.0.1", f"IP:{CONTROL_PLANE.address}", f"IP:{API_SERVICE}"),
)
# Kubernetes reads the user (CN) and the group (O) from a client's certificate.
CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
    "apiserver-to-kubelet": "/O=system:masters/CN=apiserver",
    "front-proxy": "/CN=front-proxy",
}


def issue(settings: Settings) -> None:
    folder = settings.certificates
    folder.mkdir(parents=True, mode=0o700)
    (folder / "openssl.cnf").write_text(CONFIGURATION)
    _make(folder, "ca", "/CN=image-classifier-cluster", "basicConstraints=critical,CA:TRUE", signed=False)
    _make(folder, "apiserver", "/CN=apiserver", "subjectAltName=" + ",".join(API_NAMES))
    for name, subject in CLIENTS.items():
        _make(folder, name, subject, "extendedKeyUsage=clientAuth")
    for node in NODES:
        names = f"subjectAltName=DNS:{node.name},IP:{node.address}"
        _make(folder, node.name, f"/O=system:nodes/CN=system:node:{node.name}", names)
    _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", folder / "accounts.key")


def _make(folder: Path, name: str, subject: str, extension: str, *, signed: bool = True) -> None:
    authority = ("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key") if signed else ()
    _openssl(
        *("req", "-x509", "-config", folder / "openssl.cnf", "-days", "365", "-subj", subject, "-addext", extension),
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *authority),
        *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"),
    )


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"openssl {arguments[0]}: {done.stderr.strip().splitlines()[-1]}")
