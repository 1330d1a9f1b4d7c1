"""uvicorn's server, which also listens on the management port."""

from __future__ import annotations

import errno
import os
import socket

import uvicorn


class Server(uvicorn.Server):
    """Listens on the socket that it is given and, if the application has a management port, on that port too.

    Both ports share the set of connections and with it all limits, the way to stop, and TLS if it is configured.
    """

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal to stop; a management port that can't be bound is a failure of the application."""
        application = self.config.app
        port: int | None = application.management_port  # type: ignore[union-attr]
        if port is not None and sockets:
            try:
                sockets = [*sockets, beside(sockets[0], port)]
            except OSError as error:
                line = f"can't listen on MANAGEMENT_PORT={port}: {error.strerror}; choose another port"
                application.fail(line)  # type: ignore[union-attr]
                return
        super().run(sockets)


def beside(listener: socket.socket, port: int) -> socket.socket:
    """Bind another port of the address that `listener` has.

    Raises:
        OSError: the port can't be bound, or is that of `listener`.
    """
    host, taken, *rest = listener.getsockname()
    if port == taken:
        # The kernel refuses it only once one of the two listens.
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    another = socket.socket(listener.family)
    another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:
        only = listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        another.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    try:
        another.bind((host, port, *rest))
    except OSError:
        another.close()
        raise
    return another
