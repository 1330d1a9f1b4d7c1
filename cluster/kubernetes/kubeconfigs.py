"""Write a kubeconfig for each client of the API server: people, daemons, nodes."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from cluster.settings import CONTROL_PLANE, NODES, Settings


def write(settings: Settings) -> None:
    for name in ("controller-manager", "scheduler"):
        _write(settings, name, settings.api)
    # The second node has its own loopback, so the nodes need the API server's address.
    nodes_api = f"https://{CONTROL_PLANE.address}:{settings.api_port}"
    for name in ("proxy", *(node.name for node in NODES)):
        _write(settings, name, nodes_api)
    _write(settings, "admin", settings.api)


def _write(settings: Settings, name: str, server: str) -> None:
    folder = settings.certificates
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "local", "cluster": {"server": server, "certificate-authority-data": _data(folder / "ca.crt")}}
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": _data(folder / f"{name}.crt"),
                    "client-key-data": _data(folder / f"{name}.key"),
                },
            }
        ],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": name}}],
        "current-context": "local",
    }
    path = settings.run / f"{name}.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1))


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
