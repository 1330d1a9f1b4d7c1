"""The second socket of a server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from bento.http.connection.server import Server, beside


class Application:
    """Has a management port, and can't run."""

    def __init__(self, port: int) -> None:
        self.management_port = port
        self.failures: list[str] = []

    def fail(self, line: str) -> None:
        self.failures.append(line)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError


@pytest.fixture(params=["127.0.0.1", "::1", "::"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as bound:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((request.param, 0))
        yield bound


def test_the_management_port_is_reached_by_the_addresses_of_the_main_port(listener: socket.socket) -> None:
    """The kind: a port that listens elsewhere, such as on IPv4 alone, is one that no probe reaches."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with beside(listener, port) as another:
        assert another.family == listener.family
        assert another.getsockname()[:2] == (listener.getsockname()[0], port)
        another.listen()
        hosts = {"::": ["::1", "127.0.0.1"]}.get(another.getsockname()[0], [another.getsockname()[0]])
        for host in hosts:
            socket.create_connection((host, port), timeout=5).close()


def test_a_management_port_that_cannot_be_bound_is_one_line(listener: socket.socket) -> None:
    """The kind: a second port that is taken, by another program or by the main port, must not be a traceback."""
    host = listener.getsockname()[0]
    with socket.socket(listener.family) as taken:
        taken.bind((host, 0))
        taken.listen()
        for port in (taken.getsockname()[1], listener.getsockname()[1]):
            application = Application(port)
            Server(uvicorn.Config(application)).run(sockets=[listener])
            assert application.failures == [
                f"can't listen on MANAGEMENT_PORT={port}: Address already in use; choose another port"
            ]
