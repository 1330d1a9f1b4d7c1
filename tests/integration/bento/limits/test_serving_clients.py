"""Answers and errors that could get lost: late readers, an address that is taken. With real servers."""

from __future__ import annotations

import http.client
import socket

import pytest

from tests.integration.conftest import Server, Store


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_a_client_that_sends_everything_before_it_reads_gets_its_413(server: Server, chunked: bool) -> None:
    # Far over what the socket buffers hold; httpx reads an answer even after a failed write, and hides a reset.
    pieces = [b"x" * 2**20] * 64
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        body = iter(pieces) if chunked else b"".join(pieces)
        connection.request("POST", "/predict", body, {"content-type": "image/png"}, encode_chunked=chunked)
        response = connection.getresponse()
        assert (response.status, b"payload_too_large" in response.read()) == (413, True)
        connection.request("GET", "/livez")
        assert connection.getresponse().status == 200
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "203.0.113.1"], ids=["port-in-use", "no-such-address"])
def test_an_address_that_is_not_available_is_an_error_of_one_line(colour_store: tuple[Store, str], host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = colour_store[0].bentoml("serve", ".", "--host", host, "--port", port)
    assert done.returncode != 0
    assert "error: can't listen: " in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) == 1, done.stderr
