"""Describe the cluster to a person: what to export, where it answers, what runs."""

from __future__ import annotations

import subprocess

from cluster.namespaces import enter
from cluster.settings import Settings


def exports(settings: Settings) -> str:
    """Return shell commands that make kubectl, and the project's own tests, use this cluster."""
    gateway = (
        f"GATEWAY_HTTP=http://127.0.0.1:{settings.http_port} GATEWAY_HTTPS=https://127.0.0.1:{settings.https_port}"
    )
    return (
        f"export KUBECONFIG={settings.kubeconfig}\n"
        f'export PATH="{settings.bin}:$PATH"\n'
        f"export {gateway} REGISTRY={settings.registry}\n"
    )


def describe(settings: Settings) -> str:
    """Return the cluster's addresses, nodes and pods as text.

    Raises:
        ClusterError: no cluster is running.
    """
    process = enter.pid(settings)
    kubectl = [str(settings.bin / "kubectl"), "get", "nodes,pods", "--all-namespaces", "--output=wide"]
    done = subprocess.run(kubectl, env=enter.environment(settings), capture_output=True, text=True, check=False)
    lines = [
        f"API server   {settings.api}",
        f"gateway      http://127.0.0.1:{settings.http_port}  https://127.0.0.1:{settings.https_port}",
        f"registry     http://{settings.registry}",
        f"namespaces   those of process {process}; enter them with python -m cluster shell",
        f"logs         {settings.logs}",
        exports(settings),
        done.stdout or done.stderr,
    ]
    return "\n".join(lines)
