"""Create one network namespace per node and the link between them. Never touch the machine's own network."""

from __future__ import annotations

import subprocess

from cluster.settings import NODES, Node

# Its namespace is made by `ip netns`, because kube-proxy and the CNI plugins look where that command puts them.
SECOND = NODES[1].name


def create() -> None:
    first, second = NODES
    _ip("netns", "add", SECOND)
    _ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", SECOND)
    _node(first, second)
    _node(second, first)


def entering(node: Node) -> tuple[str, ...]:
    """Return the words to put before a command to run it in the node's network. `ip netns exec` would hide cgroups."""
    return () if node is NODES[0] else ("nsenter", f"--net=/run/netns/{node.name}")


def _node(node: Node, other: Node) -> None:
    inside = entering(node)
    _ip("link", "set", "lo", "up", inside=inside)
    _ip("address", "add", f"{node.address}/24", "dev", "eth0", inside=inside)
    _ip("link", "set", "eth0", "up", inside=inside)
    # kube-proxy's rules see a packet to a Service's address only if a route exists, though nothing answers there.
    _ip("route", "add", "default", "dev", "eth0", inside=inside)
    _ip("route", "add", other.pods, "via", other.address, inside=inside)
    subprocess.run([*inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], check=True)


def _ip(*arguments: str, inside: tuple[str, ...] = ()) -> None:
    subprocess.run([*inside, "ip", *arguments], check=True)
