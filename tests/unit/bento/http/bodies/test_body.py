"""Taking images out of a request's body: everything that multipart allows, and hostile input."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from bento.errors import RequestError
from bento.http.bodies.body import MAX_PART_HEAD, MAX_PARTS, HeldBody, image_of, plain_image
from bento.http.request import Request
from bento.inference.admission import Admission
from bento.inference.work import ClientDisconnected
from bento.settings import Settings

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
    assert image_of(b"This is a message\r\nof several --b parts.\r\n" + form(part), FORM) == b"x"


@pytest.mark.parametrize("length", [50_000, 100_000])
def test_both_parsers_accept_and_refuse_the_same_long_file_names(length: int) -> None:
    head = b'Content-Disposition: form-data; name="file"; filename="%b"\r\n\r\n' % (b"x" * length)
    body = form(head + b"image")
    if length < MAX_PART_HEAD:
        assert image_of(body, FORM) == plain_image(body, FORM) == b"image"
    else:
        assert plain_image(body, FORM) is None
        assert code_of(body) == "malformed_request"


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


def read(receive: Any, announced: bytes | None, limit: int, buffered: int = 100) -> tuple[bytes, int]:
    """Return a body, and the bytes that were held while it was in use; none are held afterwards."""
    settings = Settings(max_body_bytes=limit, max_buffered_bytes=buffered, receive_timeout=5)
    admission = Admission(settings)
    headers = [] if announced is None else [(b"content-length", announced)]
    request = Request({"type": "http", "headers": headers}, receive)

    async def scenario() -> tuple[bytes, int]:
        async with HeldBody(request, settings, admission) as body:
            return body, admission.buffered

    try:
        return asyncio.run(scenario())
    finally:
        assert admission.buffered == 0


async def use(receive: Any, settings: Settings, admission: Admission, action: Callable[[], object] = bool) -> None:
    async with HeldBody(Request({"type": "http", "headers": []}, receive), settings, admission):
        action()


def test_the_body_limit_holds_for_received_and_for_announced_bytes() -> None:
    assert read(chunked(b"ab", b"cd"), None, 4)[0] == b"abcd"
    assert read(chunked(b"ab", b"cd"), b"4", 4)[0] == b"abcd"
    for receive, announced in ((chunked(b"ab", b"cde"), None), (chunked(b"ab", b"cde"), b"2"), (chunked(), b"5")):
        with pytest.raises(RequestError) as caught:
            read(receive, announced, 4)
        assert caught.value.code == "payload_too_large"


def test_all_bodies_together_have_a_limit_too() -> None:
    assert read(chunked(b"ab", b"cd"), None, 4, buffered=4)[1] == 4
    settings = Settings(max_body_bytes=4, max_buffered_bytes=5)
    admission = Admission(settings)
    admission.hold(2)
    with pytest.raises(RequestError) as caught:
        asyncio.run(use(chunked(b"ab", b"cd"), settings, admission))
    assert caught.value.code == "queue_full"
    assert admission.buffered == 2


def test_a_body_is_given_back_when_its_use_fails() -> None:
    settings = Settings()
    admission = Admission(settings)

    def fail() -> None:
        assert admission.buffered == 4
        raise RuntimeError

    with pytest.raises(RuntimeError):
        asyncio.run(use(chunked(b"ab", b"cd"), settings, admission, fail))
    assert admission.buffered == 0


def test_a_client_that_leaves_during_its_body_counts_as_disconnected() -> None:
    with pytest.raises(ClientDisconnected):
        read(chunked(b"ab", end=False), b"4", 4)


def test_a_body_that_stalls_is_a_timeout() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    settings = Settings(receive_timeout=0.05)
    with pytest.raises(RequestError) as caught:
        asyncio.run(use(receive, settings, Admission(settings)))
    assert caught.value.code == "request_timeout"


def test_the_fast_parser_returns_the_same_image_as_the_full_one() -> None:
    rng = random.Random(1)
    heads = [
        HEAD,
        b'Content-Disposition: form-data; name="file"; filename="a b.jpg"\r\nContent-Type: image/jpeg\r\n\r\n',
        b'content-disposition: form-data; name="file"; filename="a\\"b"\r\n\r\n',
        b'Content-Disposition: form-data; name="other"\r\n\r\n',
        b'Content-Disposition: form-data; name="File"\r\n\r\n',
        b'X-A: b\r\nContent-Disposition: form-data; name="file"\r\n\r\n',
    ]
    words = [b"--b", b"--", b"\r\n", b"\r", b"x", b"\r\n--b", b"\r\n--b--", b"\r\n--b--\r\n", b"y" * 40]
    kinds = [FORM, b'multipart/form-data; boundary="b"', b"Multipart/Form-Data;boundary=b", b"image/png", b"text/plain"]
    short = dict.fromkeys(kinds, 0)
    for _ in range(20_000):
        content = b"".join(rng.choices(words, k=rng.randint(0, 3)))
        body = b"--b\r\n" + rng.choice(heads) + content + rng.choice([b"\r\n--b--\r\n", b"\r\n--b--", b"\r\n--b\r\n"])
        kind = rng.choice(kinds)
        image = plain_image(body, kind)
        if image is not None:
            short[kind] += 1
            assert image_of(body, kind) == image, (kind, body)
    assert min(short[kind] for kind in kinds[:-1]) > 300


class Sender:
    """A client that sends pieces of a body at set times, on a clock that only its waiting moves."""

    def __init__(self, *pieces: tuple[float, int]) -> None:
        self.now = 0.0
        self._pieces = list(pieces)

    async def receive_until(self, moment: float) -> dict[str, Any]:
        pause, size = self._pieces.pop(0)
        if self.now + pause > moment:
            raise RequestError("request_timeout", "")
        self.now += pause
        return {"type": "http.request", "body": bytes(size), "more_body": bool(self._pieces)}


@pytest.mark.parametrize(
    ("pieces", "arrives"),
    [
        ([(1.0, 1200)] * 60, True),
        ([(15.0, 40_000)] * 5, True),
        ([(1.0, 1)] * 60, False),
        ([(1.0, 900)] * 250, False),
        ([(0.0, 10_000_000), (25.0, 1)], False),
        ([(1.0, 0)] * 60, False),
    ],
    ids=["slow and steady", "in large pieces", "a byte a second", "below the rate", "a pause", "empty pieces"],
)
def test_a_slow_body_arrives_if_it_never_pauses_for_long(
    monkeypatch: pytest.MonkeyPatch, pieces: list[tuple[float, int]], arrives: bool
) -> None:
    """The kind: a limit on the total time refuses a slow, steady client however often it tries again."""
    sender = Sender(*pieces)
    request = Request({"type": "http", "headers": []}, chunked())
    request.started = 0.0
    monkeypatch.setattr(Request, "receive_until", lambda _, moment: sender.receive_until(moment))
    monkeypatch.setattr("bento.http.bodies.body.perf_counter", lambda: sender.now)
    settings = Settings(receive_timeout=20, receive_rate=1000)

    async def scenario() -> int:
        async with HeldBody(request, settings, Admission(settings)) as body:
            return len(body)

    if arrives:
        assert asyncio.run(scenario()) == sum(size for _, size in pieces)
    else:
        with pytest.raises(RequestError):
            asyncio.run(scenario())
