"""The server's end of port-forward and exec: a WebSocket with the channels of Kubernetes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
from http.server import BaseHTTPRequestHandler

from tests.kubeapi.pods import Fate

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class _WebSocket:
    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        key = handler.headers["Sec-WebSocket-Key"].encode()
        handler.send_response(101)
        handler.send_header("Upgrade", "websocket")
        handler.send_header("Connection", "Upgrade")
        handler.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key + _MAGIC).digest()).decode())
        handler.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
        handler.end_headers()
        handler.close_connection = True
        self.connection = handler.connection

    def send(self, payload: bytes, opcode: int = 2) -> None:
        size = len(payload)
        head = bytes([0x80 | opcode]) + (bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size))
        self.connection.sendall(head + payload)

    def receive(self) -> bytes | None:
        """Return the payload of the next frame, or None once the other end closes."""
        head = self._read(2)
        if len(head) < 2 or head[0] & 0x0F == 8:
            return None
        size = head[1] & 0x7F
        size = struct.unpack(">H", self._read(2))[0] if size == 126 else size
        size = struct.unpack(">Q", self._read(8))[0] if size == 127 else size
        mask, payload = self._read(4), self._read(size)
        return bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))

    def _read(self, size: int) -> bytes:
        # Read from the socket, not from the handler's buffer, so that `select` sees unread data.
        content = b""
        while len(content) < size and (part := self.connection.recv(size - len(content))):
            content += part
        return content


def port_forward(handler: BaseHTTPRequestHandler, fate: Fate, port: int) -> None:
    """Copy between the client and the pod's server."""
    tunnel = _WebSocket(handler)
    for channel in (0, 1):
        tunnel.send(bytes([channel]) + struct.pack("<H", port))
    with socket.create_connection(("127.0.0.1", fate.port)) as pod:
        pod.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as kubelets do
        while True:
            readable, _, _ = select.select([tunnel.connection, pod], [], [])
            if pod in readable:
                data = pod.recv(60_000)
                if not data:
                    break
                tunnel.send(b"\x00" + data)
            if tunnel.connection in readable:
                frame = tunnel.receive()
                if frame is None:
                    break
                pod.sendall(frame[1:])
    tunnel.send(struct.pack(">H", 1000), opcode=8)


def execute(handler: BaseHTTPRequestHandler, fate: Fate, command: list[str]) -> None:
    """Run a command as the pod would, with its model store."""
    tunnel = _WebSocket(handler)
    own = [sys.executable if command[0] == "python" else command[0], *command[1:]]
    done = subprocess.run(own, capture_output=True, env=os.environ | {"BENTOML_HOME": fate.home}, check=False)
    for start in range(0, len(done.stdout), 60_000):
        tunnel.send(b"\x01" + done.stdout[start : start + 60_000])
    tunnel.send(b"\x03" + json.dumps({"status": "Success" if done.returncode == 0 else "Failure"}).encode())
    tunnel.send(struct.pack(">H", 1000), opcode=8)
