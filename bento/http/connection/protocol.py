"""The HTTP connection: uvicorn's, with early refusals and with limits of size and time.

A request that finds the queue full is answered here, without an ASGI task: at ten times its capacity a server mostly
refuses, and each refusal takes time from the requests that it serves. The limits are those that uvicorn's httptools
protocol lacks: the size of a request's head, and the time that a connection may take to send it.
"""

from __future__ import annotations

import asyncio
import select
import typing
from collections.abc import Set
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from bento.errors import PROBLEM_JSON, STATUS, RequestError, problem_body
from bento.http.connection.contracts import Gate, Quiet
from bento.http.connection.exchange import CycleExchange
from bento.http.request import EXCHANGE, Headers, id_of
from bento.telemetry import metrics

MAX_HEAD = 64 * 1024
"""Bytes of a request line with its headers; uvicorn's other protocol allows as many."""


class Protocol(HttpToolsProtocol):
    """One connection to the application that uvicorn was given."""

    def __init__(self, config: Any, *arguments: Any, **named: Any) -> None:
        super().__init__(config, *arguments, **named)
        # `config.loaded_app` would wrap it to learn the client's address from proxies, which nothing here asks for.
        self.app = config.app
        self._gate: Gate = config.app.gate
        self.quiet_since = self.loop.time()
        self._came = self._body = self._read = 0
        """Bytes of the request that is arriving: all so far, those of its body, those of the last read."""
        self._refusing: str | None = None
        """Template of the route whose request is being refused while it arrives."""
        self._answering: RequestResponseCycle | None = None
        """The request that is being answered; uvicorn keeps the newest only, which may wait behind it."""
        self._unsent = 0
        self._unsent_since = self.quiet_since
        self._used = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._socket: int = transport.get_extra_info("socket").fileno()
        self._is_management = self._gate.is_management(self.server)
        self._gate.opened(typing.cast("Set[Quiet]", self.connections), self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        cycle = self._answering
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._came += len(data)
        self._read = len(data)
        # uvicorn's own method would log a line for each malformed request.
        try:
            self._feed(memoryview(data))
        except httptools.HttpParserError as error:
            self._end(_meant(error))
        else:
            # This bounds endless heads, chunk sizes and trailers; chunks of one byte make a body six times as long.
            if self._came > MAX_HEAD + 8 * self._body and not self.transport.is_closing():
                self._end(_head_too_large())

    def _feed(self, data: memoryview) -> None:
        """Parse, and answer requests that ask for an upgrade without upgrading, as HTTP allows (RFC 9110, 7.8).

        Java's client, and curl with --http2, ask for one with every upload. The parser takes everything after such a
        head for another protocol, so it gets the head a second time, without the header `Upgrade`.
        """
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            line = self.parser.get_method(), self.url, self.parser.get_http_version().encode()
            headers = [b"%b: %b\r\n" % pair for pair in self.headers if pair[0] != b"upgrade"]
            self.parser.feed_data(b"".join((b"%b %b HTTP/%b\r\n" % line, *headers, b"\r\n")))

    def _is_asked_to_upgrade(self) -> bool:
        # CONNECT always counts as an upgrade, and can't be parsed as another request.
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._used = True
        self.quiet_since = self.loop.time()

    def on_headers_complete(self) -> None:
        # Measuring a head costs time, so only one that may be too large is measured.
        if max(self._came, self._read) > MAX_HEAD:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD:
                raise _head_too_large()
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            # RFC 9112, 3.2: a proxy and this server might each believe another one.
            raise RequestError("malformed_request", "a request needs one Host header")
        if self._is_asked_to_upgrade():
            return
        route = None if self._is_management else self._gate.early_route(self.parser.get_method(), self.url)
        if route is not None and self._is_plain() and self._gate.refuses_next(self.loop):
            self._refusing = route
        else:
            super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        cycle.scope[EXCHANGE] = CycleExchange(self, cycle)  # type: ignore[literal-required]
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Start the next pipelined request, if any; the sweeper closes idle connections, without a timer each."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self.quiet_since = self.loop.time()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def client_left(self) -> bool:
        """Tell whether the client has closed its end; callable from any thread."""
        if not self.pipeline or self.transport.is_closing():
            return self.transport.is_closing()
        # Nothing is read while another request waits behind this one, so only the kernel knows that the client left.
        poll = select.poll()
        poll.register(self._socket, select.POLLRDHUP)
        return bool(poll.poll(0))

    def _is_plain(self) -> bool:
        """Tell whether the request asks for nothing that uvicorn would have to answer first."""
        return (
            self.parser.should_keep_alive()
            and self.parser.get_http_version() == "1.1"
            and not self.expect_100_continue
            and (self.cycle is None or self.cycle.response_complete)
        )

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        if self._refusing is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_asked_to_upgrade():
            return
        self._came = self._body = 0
        route, self._refusing = self._refusing, None
        if route is None:
            super().on_message_complete()
            # uvicorn stops reading while a large body waits to be taken, and would not notice a client that leaves.
            # The whole body has arrived now, so there is no reason to wait any longer.
            if not self.pipeline and not self.transport.is_closing():
                self.flow.resume_reading()
            return
        self.quiet_since = self.loop.time()
        refusal = self._gate.refusal()
        self._refuse(refusal)
        metrics.answered(route, self.parser.get_method().decode(), STATUS[refusal.code]).inc()

    def _refuse(self, error: RequestError) -> None:
        body = problem_body(error.code, error.detail)
        headers = [
            (b"content-type", PROBLEM_JSON),
            (b"content-length", b"%d" % len(body)),
            *self._gate.common_headers(self.headers or []),
            (b"x-request-id", id_of(self.headers or [])),
            *error.headers,
        ]
        self.write(STATUS[error.code], headers, body)

    def write(self, status: int, headers: Headers, body: bytes) -> None:
        """Write an answer; its headers come from this service and need no checks."""
        lines = [b"%b: %b\r\n" % pair for pair in (*self.server_state.default_headers, *headers)]
        self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", body)))

    def _end(self, error: RequestError) -> None:
        """Answer bytes that are no valid request, and close the connection."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and (cycle.response_started or not cycle.more_body):
            # The answer to the previous request is under way, and is the last one.
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        # With requests still waiting, a client would take this answer for one of theirs.
        if not self.pipeline:
            error.headers.append((b"connection", b"close"))
            self._refuse(error)
            metrics.answered("other", "other", STATUS[error.code]).inc()
        self.transport.close()

    def _should_upgrade(self) -> bool:
        """Return False: otherwise an installed library would answer websocket handshakes."""
        return False

    def end_if_stuck(self, now: float) -> None:
        """Close the connection if its client is too slow to send a request or to read an answer, or idle for too long.

        The body of a request that is being handled has a time limit of its own.
        """
        unsent = self.transport.get_write_buffer_size()
        # A closing server waits for clients that read, but not for one that reads a byte now and then.
        if not unsent or (unsent != self._unsent and not self._gate.closed):
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since > self._gate.receive_timeout:
            self.transport.abort()
            return
        if self._is_answering:
            return
        quiet, patience = now - self.quiet_since, self._gate.receive_timeout
        if self._came:
            # A body that is refused while it arrives has no handler that watches it.
            if quiet > patience + self._body / self._gate.receive_rate:
                self._end(RequestError("request_timeout", "the request stopped arriving, or arrived too slowly"))
        elif quiet > (self._gate.keep_alive if self._used else patience):
            self.transport.close()

    @property
    def is_idle(self) -> bool:
        """Whether no request is arriving or being answered."""
        return not self._came and not self._is_answering

    def close_idle(self) -> None:
        """Close the connection; nothing is lost if it is idle."""
        self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete


def _meant(error: httptools.HttpParserError) -> RequestError:
    # The parser wraps an error that one of our callbacks raised.
    if isinstance(error.__context__, RequestError):
        return error.__context__
    return RequestError("malformed_request", "this is not an HTTP request")


def _head_too_large() -> RequestError:
    return RequestError("headers_too_large", f"the head of the request is over {MAX_HEAD:,} bytes")
