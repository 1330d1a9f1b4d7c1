"""Read from CLUSTER_* variables where the cluster keeps its files and which loopback ports lead into it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ClusterError

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Node:
    """A node: its `address`, which every pod and node can reach, and `pods`, the range of its own pods' addresses."""

    name: str
    address: str
    pods: str

    @property
    def runtime(self) -> str:
        """The socket of containerd, inside the cluster's namespaces."""
        return f"/run/{self.name}/containerd.sock"


# The addresses exist in the cluster's own network namespaces only, so they can't collide with the machine's.
NODES = (Node("node-1", "10.90.0.1", "10.244.1.0/24"), Node("node-2", "10.90.0.2", "10.244.2.0/24"))
CONTROL_PLANE = NODES[0]
POD_ADDRESSES = "10.244.0.0/16"
SERVICE_ADDRESSES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"


@dataclass(frozen=True)
class Settings:
    """The cluster's folders and ports. `home` stays (images, logs); `run`, a folder in it, goes with the cluster."""

    home: Path
    api_port: int
    http_port: int
    https_port: int
    registry_port: int

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def bin(self) -> Path:
        return self.home / "bin"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def certificates(self) -> Path:
        return self.run / "certificates"

    @property
    def kubeconfig(self) -> Path:
        return self.run / "admin.kubeconfig"

    @property
    def api(self) -> str:
        """The API server's URL: the same inside the cluster's namespaces and, through the forwarder, outside."""
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def registry(self) -> str:
        """The registry's name in image references, both on the machine and in pods' specifications."""
        return f"localhost:{self.registry_port}"

    @property
    def cgroup(self) -> str:
        """The control group's name: one per home, so that two clusters on a machine don't share it."""
        return "image-classifier-" + hashlib.sha256(str(self.home).encode()).hexdigest()[:8]


def load() -> Settings:
    """Read the settings from the environment.

    Raises:
        ClusterError: a port isn't a number from 1 to 65535.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("CLUSTER_HOME") or cache / "image-classifier" / "cluster").absolute()
    return Settings(
        home=home,
        api_port=_port("CLUSTER_API_PORT", 16443),
        http_port=_port("CLUSTER_HTTP_PORT", 18080),
        https_port=_port("CLUSTER_HTTPS_PORT", 18443),
        registry_port=_port("CLUSTER_REGISTRY_PORT", 15000),
    )


def _port(variable: str, default: int) -> int:
    value = os.environ.get(variable) or str(default)
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise ClusterError(f"{variable} is {value!r}; set it to a port number, 1 to 65535")
    return int(value)
