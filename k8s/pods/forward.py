"""Forward a loopback port to pods, as `kubectl port-forward` does.

Connections go through the API server and the kubelet, so they need no tool, no gateway and no opening in a
NetworkPolicy. Requests through the API server's proxy would need such an opening.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import select
import socket
import threading
from typing import Any

from k8s.cluster import Cluster, Json
from k8s.errors import K8sError, one_line
from k8s.pods.tunnel import frames, open_tunnel

logger = logging.getLogger(__name__)

_PORT = 3000
"""The port of a pod that classifies."""
_DATA, _ERROR = 0, 1
"""Channels of the first port."""
_CHUNK = 64 * 1024


def management_port(pod: Json) -> int:
    """Return the port of a pod that has its metrics and its version: one named `management`, or else the main one."""
    ports = [port for container in pod.get("spec", {}).get("containers", []) for port in container.get("ports", [])]
    return next((int(port["containerPort"]) for port in ports if port.get("name") == "management"), _PORT)


class Forward:
    """A context manager that listens at `url`. Each connection goes to the next of `pods`, in turn."""

    def __init__(self, cluster: Cluster, pods: list[str], port: int = _PORT) -> None:
        self._cluster, self._port = cluster, port
        self._pods = itertools.cycle(pods)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.error: K8sError | None = None
        """The error of the last connection that failed."""
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Forward:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)  # closing alone doesn't wake `accept`
        self._server.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, next(self._pods)), daemon=True).start()

    def _serve(self, connection: socket.socket, pod: str) -> None:
        from websocket import WebSocketException

        with connection:
            try:
                tunnel = open_tunnel(self._cluster, pod, "portforward", [("ports", str(self._port))])
            except K8sError as error:
                self.error = error
                logger.debug("%s", error)
                return
            # Either end may close at any moment. That ends the connection, as it would without a tunnel.
            with contextlib.suppress(WebSocketException, OSError):
                self._pump(connection, tunnel, pod)
                tunnel.send_close()
            tunnel.shutdown()

    def _pump(self, connection: socket.socket, tunnel: Any, pod: str) -> None:
        """Copy in both directions until either end closes. One thread, as OpenSSL allows one per socket."""
        from websocket import ABNF

        greeted, arriving = set[int](), frames(tunnel)
        # Latency is measured through this port, so no piece of an answer may wait for a delayed acknowledgement.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            pending = getattr(tunnel.sock, "pending", lambda: 0)()
            readable, _, _ = select.select([connection, tunnel.sock], [], [], 0 if pending else None)
            if pending or tunnel.sock in readable:
                frame = next(arriving, None)
                if frame is None:
                    return
                channel, data = frame
                if channel not in greeted:
                    greeted.add(channel)  # each channel begins with the port's number
                    data = data[2:]
                if channel == _ERROR and data:
                    self.error = K8sError(f"portforward to pod {pod}: {one_line(data.decode('utf-8', 'replace'))}")
                    return
                connection.sendall(data)
            if connection in readable:
                data = connection.recv(_CHUNK)
                if not data:
                    return
                tunnel.send(bytes([_DATA]) + data, opcode=ABNF.OPCODE_BINARY)
