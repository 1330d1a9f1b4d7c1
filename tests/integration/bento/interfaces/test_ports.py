"""The management port, with real servers: who answers what, and how both ports stop."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.conftest import Server, Store, free_port, serving, wait_until_ready
from tests.stored import picture

PROBES = ("/livez", "/readyz", "/healthz", "/metrics", "/version")


@contextmanager
def both_ports(store: Store, **variables: Any) -> Iterator[tuple[Server, Server]]:
    """Serve, and yield the server by its main port and by its management port."""
    port = free_port()
    with serving(store, ".", wait=False, MANAGEMENT_PORT=str(port), **variables) as server:
        management = replace(server, port=port)
        wait_until_ready(management)
        yield server, management


def test_a_second_port_has_probes_metrics_and_version_alone(colour_store: tuple[Store, str]) -> None:
    """The kind: what orchestrators need is public wherever a gateway leads to the only port."""
    with both_ports(colour_store[0]) as (server, management):
        assert [management.get(path).status_code for path in PROBES] == [200] * 5
        assert [server.get(path).status_code for path in PROBES] == [404] * 5
        assert server.predict(picture("green")).json()["predicted_class"] == "green"
        assert management.predict(picture("green")).status_code == 404
        assert [management.get(path).status_code for path in ("/", "/docs", "/openapi.json", "/v2")] == [404] * 4
        assert not set(PROBES) & set(server.get("/openapi.json").json()["paths"])
        # One process counts what both ports get.
        assert management.metric("image_classifier_requests_total", route="/predict", code="200") == 1
        assert management.metric("image_classifier_requests_total", route="/livez", code="200") == 1


def test_both_ports_drain_and_close_together(colour_store: tuple[Store, str]) -> None:
    """The kind: a second listener that a shutdown forgets keeps the process, or ends before probes can see it."""
    with both_ports(colour_store[0], DRAIN_DELAY="600") as (server, management):
        server.process.send_signal(signal.SIGTERM)
        while management.get("/readyz").status_code == 200:
            pass
        assert management.get("/readyz").json()["code"] == "draining"
        assert management.get("/livez").status_code == 200
        for worker in psutil.Process(server.process.pid).children():
            worker.terminate()  # a second signal skips the rest of the delay
        assert server.process.wait(timeout=60) == 0
        assert '"closing"' in server.log.read_text()
        for port in (server.port, management.port):
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"http://127.0.0.1:{port}/livez")


def test_an_idle_connection_to_the_management_port_is_closed_like_any_other(colour_store: tuple[Store, str]) -> None:
    """The kind: connections of a second listener that no sweeper watches stay open for ever."""
    with both_ports(colour_store[0], KEEP_ALIVE="1") as (server, management):
        with socket.create_connection(("127.0.0.1", management.port)) as connection:
            connection.settimeout(30)
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            assert connection.recv(65536) == b""
        assert server.process.poll() is None


def test_a_management_port_in_use_ends_the_server_with_one_line(colour_store: tuple[Store, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(colour_store[0], ".", wait=False, MANAGEMENT_PORT=str(port)) as server:
            server.process.wait(timeout=60)
            log = server.log.read_text()
    assert log.count(f"can't listen on MANAGEMENT_PORT={port}: Address already in use; choose another port") == 1
    assert "Traceback" not in log
