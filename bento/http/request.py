"""One HTTP request: what the handlers need of its ASGI scope."""

from __future__ import annotations

import asyncio
import math
import os
import re
from collections.abc import Awaitable, Callable
from itertools import count
from time import perf_counter
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs

from bento.errors import RequestError
from bento.telemetry import metrics

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, bytes, bytes, Headers]
"""Status, content type, body and further headers."""

EXCHANGE = "image_classifier.exchange"
"""Key of the ASGI scope under which our own connections offer an `Exchange`; other servers have none."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_TOP_K = re.compile(r"[1-9][0-9]{0,3}")
_COVERAGE = re.compile(r"0?\.[0-9]{1,20}")
_ID_PREFIX = os.urandom(10).hex().encode()
_ids = count()


def id_of(headers: Headers) -> bytes:
    """Return the client's request id if it is fit for a header and a log line, otherwise a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value
    # A random prefix per process and a counter: a UUID per request would cost more than routing it.
    return b"%s%012x" % (_ID_PREFIX, next(_ids))


class Exchange(Protocol):
    """What a connection offers beyond ASGI for one request: its whole body at once, and its whole answer."""

    def gone(self) -> bool:
        """Tell whether the client has left; callable from any thread."""

    def abandon(self) -> None:
        """Close the connection and drop the requests that wait behind this one."""

    def whole_body(self) -> bytes | None:
        """Return the body if all of it has arrived."""

    def answer(self, status: int, headers: Headers, body: bytes) -> bool:
        """Write a whole answer, and return whether it was written."""


class Wanted(NamedTuple):
    """What the query wants in the answer to an image, beside its class and confidence."""

    top_k: int = 0
    """How many classes to list."""
    unknown: bool = False
    """The novelty, and whether the image is known."""
    coverage: int = 0
    """Thousandths of images whose set of classes holds the true one; 0 for no set."""


def _never() -> bool:
    return False


_PLAIN = Wanted()


class Request:
    """A request, its id and its times.

    Attributes:
        exchange: what the connection offers beyond ASGI; None on other servers.
        gone: tells whether the client has left.
        id: in the header `X-Request-ID`, log entries and traces.
        started: when its head had arrived, by `time.perf_counter`.
        stages: begin and end of each stage that it went through, by the same clock.
    """

    __slots__ = ("exchange", "gone", "headers", "id", "parameters", "receive", "scope", "stages", "started")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.started = perf_counter()
        self.scope = scope
        self.receive = receive
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.id = id_of(scope["headers"])
        self.exchange: Exchange | None = scope.pop(EXCHANGE, None)
        self.gone: Callable[[], bool] = _never if self.exchange is None else self.exchange.gone
        self.parameters: dict[str, str] = {}
        self.stages: dict[str, tuple[float, float]] = {}

    def whole_body(self) -> bytes | None:
        """Return the body if all of it is known to have arrived."""
        return None if self.exchange is None else self.exchange.whole_body()

    def abandon(self) -> None:
        """Close the connection without an answer, and drop the requests that wait behind this one."""
        if self.exchange is not None:
            self.exchange.abandon()

    async def receive_until(self, moment: float) -> Message:
        """Return the next message of the request, which must come before a moment by `time.perf_counter`.

        Raises:
            RequestError: request_timeout.
        """
        try:
            async with asyncio.timeout(moment - perf_counter()):
                return await self.receive()
        except TimeoutError as error:
            metrics.shed.labels("request_timeout").inc()
            # The rest of the body could not be told apart from the next request.
            close = [(b"connection", b"close")]
            raise RequestError("request_timeout", "the body stopped arriving, or arrived too slowly", close) from error

    def wanted(self) -> Wanted:
        """Return what the query wants.

        Raises:
            RequestError: malformed_request.
        """
        if not self.scope["query_string"]:
            return _PLAIN
        top_k, unknown, coverage = (self.parameter(name) for name in Wanted._fields)
        if top_k is not None and not _TOP_K.fullmatch(top_k):
            raise RequestError("malformed_request", "top_k must be a whole number from 1 to 9999")
        if unknown not in (None, "0", "1"):
            raise RequestError("malformed_request", "unknown must be 0 or 1")
        share = float(coverage) if coverage is not None and _COVERAGE.fullmatch(coverage) else 0.0
        if coverage is not None and not 0.5 <= share <= 0.999:
            raise RequestError("malformed_request", "coverage must be a number from 0.5 to 0.999")
        # Upwards, because the set must keep its promise; the margin is for what rounding has added.
        return Wanted(int(top_k or 0), unknown == "1", math.ceil(share * 1000 - 1e-9))

    def parameter(self, name: str) -> str | None:
        """Return a parameter of the query, the last one if it is repeated; None if it is missing."""
        query: bytes = self.scope["query_string"]
        if not query:
            return None
        return parse_qs(query.decode("latin-1"), keep_blank_values=True).get(name, [None])[-1]

    def accepts(self, kind: bytes) -> bool:
        """Tell whether the client asks for this media type by name, and not for JSON."""
        wanted = {part.partition(b";")[0].strip() for part in self.headers.get(b"accept", b"").lower().split(b",")}
        return kind in wanted and b"application/json" not in wanted
