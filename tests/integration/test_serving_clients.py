"""Answers reach clients that write their whole request before they read. With real servers."""

from __future__ import annotations

import http.client

import pytest

from tests.integration.conftest import Server


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_a_client_that_sends_all_before_it_reads_gets_its_413(server: Server, chunked: bool) -> None:
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
