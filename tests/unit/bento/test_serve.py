"""The addresses that `python -m bento.serve` listens on if none is set."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bento import serve

PROGRAM = """
import socket
from bento import serve

listener = serve._bind(serve._everywhere(), "3000")
listener.listen()
for host in ("::1", "127.0.0.1"):
    try:
        socket.create_connection((host, 3000), timeout=5).close()
        print(host, end=" ")
    except OSError:
        pass
"""


@pytest.mark.parametrize(
    ("network", "reached"),
    [
        ("ip address del 127.0.0.1/8 dev lo", "::1 "),
        ("ip address del ::1/128 dev lo", "127.0.0.1 "),
        ("true", "::1 127.0.0.1 "),
    ],
)
def test_the_service_is_reached_by_whatever_addresses_a_pod_has(network: str, reached: str) -> None:
    """In a cluster with IPv6 alone, a service that listens for IPv4 has no pod that becomes ready."""
    script = f'ip link set lo up && {network} && exec "$0" -c "$1"'
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", script, sys.executable, PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, reached), done.stderr


def test_a_kernel_without_ipv6_is_served_by_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.has_dualstack_ipv6", lambda: False)
    assert serve._everywhere() == "0.0.0.0"
