"""Serve and train for half a minute where there is no network: `unshare --net --mount python -m tests.isolated FOLDER`.

FOLDER/home is the home, with a model store at first, and FOLDER/tmp the temporary folder of both. FOLDER/lookups gets
the names that they look up, one per line, and FOLDER/*.log their output.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

from tests.folders import write_tree
from tests.stored import place

_PORT = 3000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
TRAINING = ("--image-size", "16", "--depth", "1", "--width", "8", "--dense", "0", "--epochs", "1")


def _start_loopback() -> None:
    """Set the interface up: man 7 netdevice."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", asked)[1] | _IFF_UP
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags))


def _log_lookups(listener: socket.socket, log: Path) -> None:
    """Answer each question that there is no such name (RFC 1035, 4.1)."""
    with log.open("a", buffering=1) as out:
        while True:
            question, sender = listener.recvfrom(4096)
            labels, at = [], 12
            while question[at]:
                labels.append(question[at + 1 : at + 1 + question[at]].decode(errors="replace"))
                at += 1 + question[at]
            out.write(".".join(labels) + "\n")
            listener.sendto(question[:2] + b"\x81\x83" + question[4:], sender)


def _resolve_here(folder: Path) -> None:
    resolver = folder / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", resolver, "/etc/resolv.conf"], check=True)
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 53))
    threading.Thread(target=_log_lookups, args=(listener, folder / "lookups"), daemon=True).start()


def _wait_until_ready(server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{_PORT}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the server ended")


def main(folder: Path) -> None:
    """Start both, wait for the training, and leave the server running for the rest of half a minute."""
    (folder / "lookups").touch()
    _start_loopback()
    _resolve_here(folder)
    home, temporary = folder / "home", folder / "tmp"
    place(home / "bentoml")
    temporary.mkdir()
    data = write_tree(folder / "data", {"red": 12, "green": 12}, size=(20, 20))
    # Nothing else is passed on: variables that mark a CI would hide reports.
    environment = {"HOME": str(home), "TMPDIR": str(temporary), "PATH": os.environ["PATH"]}
    bentoml = str(Path(sys.executable).parent / "bentoml")
    serve = [bentoml, "serve", ".", "--host", "127.0.0.1", "--port", str(_PORT)]
    train = [sys.executable, "-m", "training", "--data", str(data), "--out", str(home / "run"), *TRAINING]
    with (folder / "server.log").open("wb") as out:
        server = subprocess.Popen(serve, env=environment, stdout=out, stderr=out)
    try:
        _wait_until_ready(server)
        started = time.monotonic()
        with (folder / "training.log").open("wb") as out:
            subprocess.run(train, env=environment, stdout=out, stderr=out, check=True)
        time.sleep(max(0.0, started + 20 - time.monotonic()))
    finally:
        server.terminate()
        server.wait(timeout=60)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
