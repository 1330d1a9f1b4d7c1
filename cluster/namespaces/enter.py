"""Run commands inside the cluster's namespaces, with its programs first on the path."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cluster import tools
from cluster.errors import ClusterError
from cluster.namespaces import network
from cluster.settings import CONTROL_PLANE, Node, Settings


def pid(settings: Settings) -> int:
    """Return the id of the first process inside the namespaces, which end with it.

    Raises:
        ClusterError: no cluster is running.
    """
    path = settings.run / "pid"
    if not path.exists() or not Path(f"/proc/{path.read_text()}").exists():
        raise ClusterError("no cluster is running; start it with `python -m cluster up`")
    return int(path.read_text())


def command(settings: Settings, arguments: Sequence[str], *, node: Node = CONTROL_PLANE) -> list[str]:
    # nsenter loses the working directory.
    there = ("env", "-C", os.getcwd())
    namespaces = ("nsenter", f"--target={pid(settings)}", "--mount", "--net", "--pid", "--uts", "--")
    return [*namespaces, *network.entering(node), *there, *arguments]


def environment(settings: Settings, *, node: Node = CONTROL_PLANE) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": tools.search_path(settings.bin),
        "KUBECONFIG": str(settings.kubeconfig),
        "KUBECACHEDIR": str(settings.run / "kubectl"),
        "CONTAINERD_ADDRESS": node.runtime,
    }


def start(settings: Settings, arguments: Sequence[str], *, node: Node = CONTROL_PLANE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(settings, arguments, node=node),
        env=environment(settings, node=node),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(settings: Settings, arguments: Sequence[str], *, node: Node = CONTROL_PLANE) -> str:
    """Run a command and return what it prints.

    Raises:
        ClusterError: the command failed; the message ends with its last line.
    """
    process = start(settings, arguments, node=node)
    output, message = process.communicate()
    if process.returncode:
        raise ClusterError(f"{' '.join(arguments)}: {' '.join(message.strip().splitlines()[-1:])}")
    return output
