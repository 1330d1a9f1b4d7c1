"""Serve a built Bento as one process: `python -m bento.serve`, the command of the image.

It runs BentoML's server process without the supervisor of `bentoml serve`. Kubernetes supervises the pod; a second
Python process would double memory and cold start, and would hide how the server ended.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

from bento import configuration, startup

NAME = "image_classifier"


def main() -> int:
    """Run until SIGTERM or Ctrl-C, and return the exit status."""
    startup.ended("process")
    # The first process of a container ignores every signal without a handler. While the HTTP server runs, it handles
    # these signals, and raises the one it received again when it has answered everything.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    bento = Path(__file__).parents[2]
    if not (bento / "bento.yaml").exists():
        sys.stderr.write("error: this is not a built Bento; to serve a checkout, run: bentoml serve\n")
        return 2
    given = [name for name in configuration.VARIABLES if os.environ.get(name)]
    if given:
        sys.stderr.write(f"error: {given[0]} has no effect here; unset it, and see docs/settings.md for the settings\n")
        return 2
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        sys.stderr.write("error: there is no temporary folder to write to; mount a tmpfs at /tmp\n")
        return 1
    try:
        listener = _bind(os.environ.get("BENTOML_HOST", _everywhere()), os.environ.get("BENTOML_PORT", "3000"))
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"error: can't listen: {error.strerror}; choose another BENTOML_HOST or BENTOML_PORT\n")
        return 1
    from _bentoml_impl.worker.service import main as server

    server.main([str(bento), "--fd", str(listener.detach()), "--service-name", NAME], standalone_mode=False)
    return 0


def _everywhere() -> str:
    """Return the address of all interfaces, for IPv6 and IPv4, or for IPv4 alone if the kernel has no IPv6."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"


def _bind(host: str, port: str) -> socket.socket:
    """Bind the port without listening, so that connections are refused until there is a server.

    Raises:
        ValueError: the host is no IP address, or the port is invalid.
        OSError: the port can't be bound.
    """
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        raise ValueError(f"BENTOML_HOST={host!r}: not an IP address") from None
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"BENTOML_PORT={port!r}: not a port, 1 to 65535")
    listener = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if version == 6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # a machine may have another default
    listener.bind((host, int(port)))
    return listener


if __name__ == "__main__":
    sys.exit(main())
