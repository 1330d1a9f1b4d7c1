"""What a connection and the service need to know of each other."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from typing import Protocol

from bento.errors import RequestError
from bento.http.request import Headers


class Quiet(Protocol):
    """A connection that can go quiet.

    Attributes:
        quiet_since: when something last happened on it, by the event loop's time.
    """

    quiet_since: float

    @property
    def is_idle(self) -> bool:
        """Whether no request is arriving or being answered."""

    def close_idle(self) -> None:
        """Close the connection, which is idle."""

    def end_if_stuck(self, now: float) -> None:
        """Close the connection if nothing has happened on it for too long; `now` is the event loop's time."""


class Gate(Protocol):
    """What a connection needs to know of the service; `bento.http.gate` says what each member means."""

    receive_timeout: float
    receive_rate: int
    keep_alive: float

    @property
    def closed(self) -> bool: ...

    def common_headers(self, request: Headers) -> Headers: ...

    def opened(self, connections: Set[Quiet], loop: asyncio.AbstractEventLoop) -> None: ...

    def is_management(self, server: tuple[str, int | None] | None) -> bool: ...

    def early_route(self, method: bytes, url: bytes) -> str | None: ...

    def refuses_next(self, loop: asyncio.AbstractEventLoop) -> bool: ...

    def refusal(self) -> RequestError: ...
