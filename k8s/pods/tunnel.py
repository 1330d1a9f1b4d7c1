"""Open WebSockets through the API server to a pod, for port-forward and exec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from k8s.cluster import Cluster
from k8s.errors import K8sError, forbidden, message_of, one_line

STDOUT, NONE = 1, -1
"""Channels: the output of exec, and the channel of frames without data, such as pings."""


def open_tunnel(cluster: Cluster, pod: str, action: str, query: list[tuple[str, str]]) -> Any:
    """Return a connection of the `websocket` package for an action on a pod.

    Raises:
        K8sError: the API server or the kubelet refuses the connection.
    """
    from kubernetes.stream.ws_client import create_websocket
    from websocket import WebSocketBadStatusException, WebSocketException

    configuration = cluster.client.configuration
    headers = {"sec-websocket-protocol": "v4.channel.k8s.io"}
    for credential in configuration.auth_settings().values():  # reading them refreshes expired ones
        headers["authorization"] = credential["value"]
    path = f"/api/v1/namespaces/{quote(cluster.namespace)}/pods/{quote(pod)}/{action}?{urlencode(query)}"
    host = cluster.host.rstrip("/").replace("http", "ws", 1)
    try:
        return create_websocket(configuration, host + path, headers)
    except WebSocketBadStatusException as error:
        text = message_of((error.resp_body or b"").decode("utf-8", "replace"))
        raise forbidden(text) or K8sError(f"{action} to pod {pod}: {one_line(text or error)}") from error
    except (WebSocketException, OSError) as error:
        raise K8sError(f"{action} to pod {pod}: {one_line(error)}") from error


def frames(tunnel: Any) -> Iterator[tuple[int, bytes]]:
    """Yield (channel, data) of each frame until the other end closes."""
    from websocket import ABNF

    while True:
        code, frame = tunnel.recv_data_frame(True)
        if code == ABNF.OPCODE_CLOSE:
            return
        has_data = code in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and frame.data
        yield (frame.data[0], frame.data[1:]) if has_data else (NONE, b"")


def execute(cluster: Cluster, pod: str, container: str, command: list[str], seconds: float = 30) -> bytes:
    """Run a command in a pod and return its output.

    Raises:
        K8sError: the command can't be run, or takes more than `seconds` between two frames.
    """
    from websocket import WebSocketException

    query = [*(("command", part) for part in command), ("container", container), ("stdout", "1")]
    tunnel = open_tunnel(cluster, pod, "exec", query)
    try:
        tunnel.settimeout(seconds)
        return b"".join(data for channel, data in frames(tunnel) if channel == STDOUT)
    except (WebSocketException, OSError) as error:
        raise K8sError(f"exec in pod {pod}: {one_line(error)}") from error
    finally:
        tunnel.shutdown()
