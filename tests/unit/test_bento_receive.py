"""One image out of a request's body: what multipart allows, and what its parser must survive."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from bento.errors import RequestError
from bento.receive import MAX_PARTS, ClientDisconnected, image_of, read_body

FORM = b"multipart/form-data; boundary=b"
HEAD = b'Content-Disposition: form-data; name="file"\r\n\r\n'


def form(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def code_of(body: bytes, content_type: bytes = FORM) -> str:
    with pytest.raises(RequestError) as caught:
        image_of(body, content_type)
    return caught.value.code


def chunked(*chunks: bytes, end: bool = True) -> Any:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b""} if end else {"type": "http.disconnect"})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return receive


@pytest.mark.parametrize("content", [b"\x89PNG", b"", b"\r\n", b"--b--", b"\r\n--c\r\n-", bytes(range(256)) * 300])
def test_the_bytes_of_the_part_come_back_unchanged(content: bytes) -> None:
    assert image_of(form(HEAD + content), FORM) == content


@pytest.mark.parametrize(
    "content_type",
    [
        b'multipart/form-data; boundary="b"',
        b"multipart/form-data;boundary=b; charset=utf-8",
        b"MULTIPART/Form-Data; BOUNDARY=b",
    ],
)
def test_the_ways_to_name_a_boundary(content_type: bytes) -> None:
    assert image_of(form(HEAD + b"x"), content_type) == b"x"


def test_header_names_are_case_insensitive_and_a_preamble_and_an_epilogue_are_skipped() -> None:
    part = b"content-DISPOSITION: form-data; NAME=file\r\n\r\nx"
    assert image_of(b"\r\n" + form(part) + b"epilogue", FORM) == b"x"


def test_a_form_of_endless_parts_is_refused_before_it_is_all_parsed() -> None:
    small = b"A: b\r\n\r\n"
    assert image_of(form(*[small] * (MAX_PARTS - 1), HEAD + b"x"), FORM) == b"x"
    assert code_of(form(*[small] * MAX_PARTS, HEAD + b"x")) == "malformed_request"


def test_a_part_of_endless_headers_is_refused() -> None:
    assert code_of(form(b"A: b\r\n" * 100 + HEAD + b"x")) == "malformed_request"
    assert code_of(form(b"A: " + b"b" * 100_000 + b"\r\n" + HEAD + b"x")) == "malformed_request"


def test_every_truncation_of_a_form_is_malformed_or_lacks_the_file() -> None:
    whole = form(HEAD + b"x")
    for length in range(len(whole) - len(b"--\r\n")):
        assert code_of(whole[:length]) == "malformed_request", length


def test_random_bodies_and_types_give_an_image_or_a_client_error() -> None:
    rng = random.Random(0)
    words = [
        b"--b",
        b"--",
        b"\r\n",
        b"\r",
        b"\n",
        HEAD,
        b"x",
        b":",
        b"=",
        b";",
        b'"',
        b"\\",
        b"*0*=",
        b"%FF",
        b"\xff",
        b"b",
    ]
    kinds = [
        FORM,
        b"image/png",
        b"multipart/form-data; ",
        b"application/octet-stream",
        b"\xff\x00",
        b"multipart/form-data; boundary*=utf-8''",
    ]
    for _ in range(5000):
        body = b"".join(rng.choices(words, k=rng.randint(0, 12)))
        kind = rng.choice(kinds) + b"".join(rng.choices(words, k=rng.randint(0, 3)))
        try:
            image_of(body, kind)
        except RequestError as error:
            assert error.code in {"missing_file", "multiple_files", "malformed_request"}  # noqa: PT017


def test_the_limit_is_on_what_arrives_and_on_what_is_announced() -> None:
    assert asyncio.run(read_body(chunked(b"ab", b"cd"), None, 4)) == b"abcd"
    assert asyncio.run(read_body(chunked(b"ab", b"cd"), b"4", 4)) == b"abcd"
    for receive, announced in ((chunked(b"ab", b"cde"), None), (chunked(b"ab", b"cde"), b"2"), (chunked(), b"5")):
        with pytest.raises(RequestError) as caught:
            asyncio.run(read_body(receive, announced, 4))
        assert caught.value.code == "payload_too_large"


def test_a_body_that_ends_early_has_nobody_to_answer() -> None:
    with pytest.raises(ClientDisconnected):
        asyncio.run(read_body(chunked(b"ab", end=False), b"4", 4))
