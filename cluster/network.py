"""One network namespace a node and the wire between them. Never touches the machine's own."""

from __future__ import annotations

import subprocess

from cluster.settings import NODES, Node

# kube-proxy and the CNI plugins look for namespaces where `ip netns` puts them.
SECOND = NODES[1].name


def create() -> None:
    first, second = NODES
    _ip("netns", "add", SECOND)
    _ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", SECOND)
    _node(first, second)
    _node(second, first)


def entering(node: Node) -> tuple[str, ...]:
    """What to put before a command so that it runs in the node's network. `ip netns exec` would hide the cgroups."""
    return () if node is NODES[0] else ("nsenter", f"--net=/run/netns/{node.name}")


def _node(node: Node, other: Node) -> None:
    inside = entering(node)
    _ip("link", "set", "lo", "up", inside=inside)
    _ip("address", "add", f"{node.address}/24", "dev", "eth0", inside=inside)
    _ip("link", "set", "eth0", "up", inside=inside)
    # Service addresses need a route to be looked at, though nothing answers there.
    _ip("route", "add", "default", "dev", "eth0", inside=inside)
    _ip("route", "add", other.pods, "via", other.address, inside=inside)
    subprocess.run([*inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], check=True)


def _ip(*arguments: str, inside: tuple[str, ...] = ()) -> None:
    subprocess.run([*inside, "ip", *arguments], check=True)
