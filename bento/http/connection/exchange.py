"""What a connection offers its requests beyond ASGI: the whole body at once, and the whole answer."""

from __future__ import annotations

import asyncio
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from bento.http.request import Headers


class Connection(Protocol):
    """What an exchange needs of its connection."""

    transport: asyncio.Transport
    flow: FlowControl

    def client_left(self) -> bool: ...

    def write(self, status: int, headers: Headers, body: bytes) -> None: ...


class CycleExchange:
    """The `Exchange` of one request, on uvicorn's connection."""

    __slots__ = ("_connection", "_cycle")

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle

    def gone(self) -> bool:
        """Tell whether the client has left; callable from any thread."""
        return self._connection.client_left()

    def abandon(self) -> None:
        """Close the connection and drop the requests that wait behind this one."""
        self._cycle.disconnected = True
        self._connection.transport.abort()

    def whole_body(self) -> bytes | None:
        """Return the body if all of it has arrived, which is usual for a small image."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected:
            return None
        body = bytes(cycle.body)
        # A connection keeps its last request until the next one, and would keep this body with it.
        cycle.body = bytearray()
        return body

    def answer(self, status: int, headers: Headers, body: bytes) -> bool:
        """Write a whole answer at once; uvicorn's `send` would check each header and write twice.

        Returns:
            False if the client reads slowly; then use `send`, which waits for it.
        """
        cycle, connection = self._cycle, self._connection
        if connection.flow.write_paused:
            return False
        if cycle.disconnected:
            return True
        cycle.response_started = cycle.response_complete = True
        close = (b"connection", b"close") in headers
        if not cycle.keep_alive and not close:
            close = True
            headers.append((b"connection", b"close"))
        connection.write(status, headers, body)
        if close:
            connection.transport.close()
        cycle.on_response()
        return True
