"""Unusual, wrong and hostile requests, sent byte by byte as they are: each gets its exact answer, at once."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Server, Store, serving
from tests.stored import picture, write_entry

RED = picture("red")
IMAGE = b"Content-Type: image/png"
FORM = b"Content-Type: multipart/form-data; boundary=b"
CHUNKED = b"Transfer-Encoding: chunked"
FILE = b'Content-Disposition: form-data; name="file"'
END = b"--b--\r\n"
NO_HTTP = (400, "malformed_request")
NO_FILE = (400, "missing_file")
IS_RED = (200, "red")


def request(
    *headers: bytes, body: bytes = RED, method: bytes = b"POST", path: bytes = b"/predict", length: bool = True
) -> bytes:
    told = [b"Content-Length: %d" % len(body)] if length else []
    return b"\r\n".join([b"%b %b HTTP/1.1" % (method, path), b"Host: x", *headers, *told, b"", body])


def part(head: bytes = FILE, body: bytes = RED) -> bytes:
    return b"--b\r\n" + head + b"\r\n\r\n" + body + b"\r\n"


def form(*parts: bytes, end: bytes = END) -> bytes:
    return request(FORM, body=b"".join(parts) + end)


def named(name: bytes, kind: bytes = b"") -> bytes:
    return part(FILE + b"; filename=" + name + (b"\r\nContent-Type: " + kind if kind else b""))


def chunked(*pieces: bytes, headers: tuple[bytes, ...] = (IMAGE,)) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))
    return request(*headers, CHUNKED, body=body, length=False)


def chunks(data: bytes) -> bytes:
    return request(IMAGE, CHUNKED, body=data, length=False)


MIXED = b"--c\r\nContent-Disposition: file; filename=x.png\r\n\r\n" + RED + b"\r\n--c--"
ONE_BYTE_EACH = [RED[at : at + 1] for at in range(len(RED))]

FORMS = {
    "one file": (form(part()), IS_RED),
    "two files": (form(part(), part()), (400, "multiple_files")),
    "no file": (form(part(b'Content-Disposition: form-data; name="image"')), NO_FILE),
    "a file by another case": (form(part(b'Content-Disposition: form-data; name="File"')), NO_FILE),
    "a file among others": (form(part(b'Content-Disposition: form-data; name="a"'), part()), IS_RED),
    "no part": (form(), NO_FILE),
    "nothing": (form(end=b""), NO_HTTP),
    "a preamble": (request(FORM, body=b"for old readers\r\n" + part() + END), IS_RED),
    "no end": (form(part(), end=b""), NO_HTTP),
    "no boundary": (request(b"Content-Type: multipart/form-data", body=part() + END), NO_HTTP),
    "an empty boundary": (request(b"Content-Type: multipart/form-data; boundary=", body=part() + END), NO_HTTP),
    "another boundary": (request(FORM + b"b", body=part() + END), NO_HTTP),
    "a nested form": (form(part(FILE + b"\r\nContent-Type: multipart/mixed; boundary=c", MIXED)), (415, None)),
    "a nested form of the same boundary": (form(part(FILE, b"--b\r\n\r\n" + RED + b"\r\n" + END)), (415, None)),
    "another kind of form": (request(b"Content-Type: multipart/mixed; boundary=b", body=part() + END), NO_FILE),
    "a form of fields": (request(b"Content-Type: application/x-www-form-urlencoded", body=b"file=x"), NO_FILE),
    "a part without a head": (form(part(b"")), NO_FILE),
    "a part without a name": (form(part(b"Content-Disposition: form-data")), NO_FILE),
    "a part whose head has no colon": (form(part(b"Content-Disposition")), NO_HTTP),
    "a file in base64": (form(part(FILE + b"\r\nContent-Transfer-Encoding: base64", b"iVBORw0KGgo=")), (415, None)),
    "an empty file": (form(part(body=b"")), (415, None)),
}

NAMES = {
    "with a path": (form(named(b'"../../etc/passwd"', b"image/png")), IS_RED),
    "with a NUL": (form(named(b'"x.png\0.exe"')), IS_RED),
    "in raw bytes": (form(named(bytes(range(128, 256)))), IS_RED),
    "of 50,000 bytes": (form(named(b'"' + b"x" * 50_000 + b'"')), IS_RED),
    "without its quote": (form(named(b'"x.png')), IS_RED),
    "with a format": (form(named(b'"%s%n{0}${jndi:x}"')), IS_RED),
    "that says otherwise": (form(named(b'"x.html"', b"text/html")), IS_RED),
    "in RFC 5987's way": (form(part(FILE + b"; filename*=UTF-8''%e2%82%ac.png")), IS_RED),
}

TYPES = {
    "missing": (request(), NO_FILE),
    "empty": (request(b"Content-Type:"), NO_FILE),
    "of another image": (request(b"Content-Type: image/jpeg"), IS_RED),
    "of no such image": (request(b"Content-Type: image/x"), IS_RED),
    "of bytes": (request(b"Content-Type: application/octet-stream"), IS_RED),
    "in capitals": (request(b"Content-Type: IMAGE/PNG"), IS_RED),
    "with options": (request(b"Content-Type: image/png; q=1;;;"), IS_RED),
    "of text": (request(b"Content-Type: text/plain"), NO_FILE),
    "of JSON": (request(b"Content-Type: application/json", body=b'{"file": "x"}'), NO_FILE),
    "in raw bytes": (request(b"Content-Type: \xff\xfe"), NO_FILE),
    "twice": (request(IMAGE, b"Content-Type: text/plain"), NO_FILE),
    "of 60,000 bytes": (request(b"Content-Type: image/" + b"x" * 60_000), IS_RED),
}

BODIES = {
    "chunked without length": (chunked(RED), IS_RED),
    "chunked, byte by byte": (chunked(*ONE_BYTE_EACH), IS_RED),
    "a chunked form": (chunked(part(), END, headers=(FORM,)), IS_RED),
    "no chunks": (chunked(), NO_FILE),
    "a chunk with an extension": (chunks(b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(RED), RED)), IS_RED),
    "a chunk of 2^72 bytes": (chunks(b"f" * 18 + b"\r\n"), NO_HTTP),
    "a chunk of -1 bytes": (chunks(b"-1\r\n"), NO_HTTP),
    "a chunk longer than it says": (chunks(b"5\r\nabcdefgh\r\n0\r\n\r\n"), NO_HTTP),
    "a chunk of 30 MiB announced": (chunks(b"%x\r\n" % (30 << 20) + b"x" * (21 << 20)), (413, "payload_too_large")),
    "chunks and a length": (request(IMAGE, CHUNKED), NO_HTTP),
    "chunks inside of gzip": (request(IMAGE, b"Transfer-Encoding: chunked, gzip", length=False), NO_HTTP),
    "gzip": (request(IMAGE, b"Content-Encoding: gzip", body=gzip.compress(RED)), (415, None)),
    "a form in gzip": (request(FORM, b"Content-Encoding: gzip", body=gzip.compress(part() + END)), (415, None)),
    "gzip that isn't said": (request(IMAGE, body=gzip.compress(RED)), (415, None)),
    "no encoding, said": (request(IMAGE, b"Content-Encoding: Identity"), IS_RED),
    "no length": (request(IMAGE, length=False), NO_FILE),
    "two lengths": (request(IMAGE, b"Content-Length: 5"), NO_HTTP),
    "the same length twice": (request(IMAGE, b"Content-Length: %d" % len(RED)), NO_HTTP),
    "a length that is no number": (request(IMAGE, b"Content-Length: 5x", length=False), NO_HTTP),
    "a negative length": (request(IMAGE, b"Content-Length: -5", length=False), NO_HTTP),
    "a length of 2^80": (request(IMAGE, b"Content-Length: %d" % 2**80, length=False), NO_HTTP),
    "a length of 1 TiB": (request(IMAGE, b"Content-Length: %d" % 2**40, length=False), (413, "payload_too_large")),
    "an expectation nobody knows": (request(IMAGE, b"Expect: the-moon"), IS_RED),
}

HEADS = {
    "5,000 headers": (request(IMAGE, *[b"X%d: 1" % number for number in range(5000)]), IS_RED),
    "10,000 headers": (
        request(IMAGE, *[b"X%d: 1" % number for number in range(10_000)]),
        (431, "headers_too_large"),
    ),
    "the same header 5,000 times": (request(IMAGE, *[b"X: 1"] * 5000), IS_RED),
    "a header of 60,000 bytes": (request(IMAGE, b"X: " + b"a" * 60_000), IS_RED),
    "a header of 70,000 bytes": (request(IMAGE, b"X: " + b"a" * 70_000), (431, "headers_too_large")),
    "a header of 10 MB": (request(IMAGE, b"X: " + b"a" * 10_000_000), (431, "headers_too_large")),
    "an address of 60,000 bytes": (request(IMAGE, path=b"/predict?" + b"a" * 60_000), IS_RED),
    "an address of 70,000 bytes": (request(IMAGE, path=b"/predict?" + b"a" * 70_000), (431, "headers_too_large")),
    "a space before a colon": (request(IMAGE, b"X : 1"), NO_HTTP),
    "a folded header": (request(IMAGE, b"X: 1\r\n 2"), NO_HTTP),
    "a NUL in a header": (request(IMAGE, b"X: 1\0"), NO_HTTP),
    "line feeds alone": (request(IMAGE).replace(b"\r\n", b"\n", 5), NO_HTTP),
    "no host": (request(IMAGE).replace(b"Host: x\r\n", b""), NO_HTTP),
    "no host, in HTTP/1.0": (request(IMAGE).replace(b"Host: x\r\n", b"").replace(b"HTTP/1.1", b"HTTP/1.0"), IS_RED),
    "two hosts": (request(IMAGE, b"Host: y"), NO_HTTP),
    "two hosts, in HTTP/1.0": (request(IMAGE, b"Host: y").replace(b"HTTP/1.1", b"HTTP/1.0"), NO_HTTP),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NO_HTTP),
    "a method nobody knows": (request(IMAGE, method=b"BREW"), NO_HTTP),
    "PUT": (request(IMAGE, method=b"PUT"), (405, "method_not_allowed")),
    "a websocket": (
        request(b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13", method=b"GET", body=b""),
        (405, "method_not_allowed"),
    ),
    "a path around": (request(IMAGE, path=b"/x/../predict"), (404, "not_found")),
    "an escaped path": (request(IMAGE, path=b"/%70redict"), IS_RED),
    "a whole address": (request(IMAGE, path=b"http://x/predict"), IS_RED),
}

CASES = {
    f"{group} {name}": case
    for group, cases in (("form:", FORMS), ("name", NAMES), ("type", TYPES), ("body:", BODIES), ("head:", HEADS))
    for name, case in cases.items()
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for this module alone, whose whole log is checked at the end."""
    root = tmp_path_factory.mktemp("bad-requests")
    store = Store(root / "home")
    store.publish(write_entry(root / "entry"))
    with serving(store, ".") as server:
        yield server
        log = server.log.read_text()
        assert "Traceback" not in log
        assert '"level": "warning"' not in log
        assert '"level": "error"' not in log


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer; return its status, headers and body."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        lines = iter(stream.readline, b"\r\n")
        headers = dict(line.decode().rstrip().lower().split(": ", 1) for line in lines)
        return status, headers, stream.read(int(headers["content-length"]))


@pytest.mark.parametrize(("sent", "wanted"), CASES.values(), ids=CASES.keys())
def test_a_request_gets_its_exact_answer_and_the_next_one_too(
    target: Server, sent: bytes, wanted: tuple[int, str | None]
) -> None:
    with connect(target) as connection:
        # The answer may come before the whole request is sent.
        with contextlib.suppress(OSError):
            connection.sendall(sent)
        status, headers, body = answer(connection)
    told = json.loads(body)
    code = "unsupported_media_type" if wanted[1] is None else wanted[1]
    assert (status, told.get("predicted_class") or told["code"]) == (wanted[0], code)
    if status != 200:
        assert headers["content-type"] == "application/problem+json"
        assert told["detail"]
    assert target.predict(picture("green")).json()["predicted_class"] == "green"


def test_a_client_that_expects_100_continue_gets_it(target: Server) -> None:
    head, _, body = request(IMAGE, b"Expect: 100-continue").partition(b"\r\n\r\n")
    with connect(target) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert answer(connection)[0] == 200


@pytest.mark.parametrize("split", [False, True], ids=["at-once", "head-first"])
@pytest.mark.parametrize("framed", [IMAGE, CHUNKED], ids=["length", "chunked"])
def test_a_request_for_an_upgrade_is_answered_without_one(target: Server, framed: bytes, split: bool) -> None:
    upgrade = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
    sent = chunked(RED, headers=(IMAGE, *upgrade)) if framed is CHUNKED else request(IMAGE, *upgrade)
    head, _, body = sent.partition(b"\r\n\r\n")
    behind = body + sent + request(method=b"GET", path=b"/livez", body=b"")
    pieces = [head + b"\r\n\r\n", behind] if split else [head + b"\r\n\r\n" + behind]
    with connect(target) as connection, connection.makefile("rb") as stream:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.1)
        # No byte of the image counts as part of a request, and no byte of a request as part of the image.
        statuses = []
        for _ in range(3):
            statuses.append(int(stream.readline().split()[1]))
            headers = dict(line.decode().rstrip().split(": ", 1) for line in iter(stream.readline, b"\r\n"))
            stream.read(int(headers["content-length"]))
    assert statuses == [200, 200, 200]


def test_a_client_that_announces_too_large_a_body_gets_no_100_continue(target: Server) -> None:
    with connect(target) as connection:
        connection.sendall(
            request(IMAGE, b"Expect: 100-continue", b"Content-Length: %d" % 2**30, body=b"", length=False)
        )
        assert answer(connection)[0] == 413


def test_the_refusal_of_a_compressed_body_names_the_accepted_encoding(target: Server) -> None:
    with connect(target) as connection:
        connection.sendall(request(IMAGE, b"Content-Encoding: br"))
        assert answer(connection)[1]["accept-encoding"] == "identity"


def test_garbage_after_a_request_ends_the_connection_after_the_answer(target: Server) -> None:
    with connect(target) as connection:
        connection.sendall(request(IMAGE) + b"rubbish\r\n\r\n")
        status, headers, _ = answer(connection)
        assert (status, headers["connection"]) == (200, "close")
        assert connection.recv(1) == b""


def test_malformed_requests_are_counted(target: Server) -> None:
    before = target.metric("image_classifier_requests_total", route="other", code="400")
    with connect(target) as connection:
        connection.sendall(b"rubbish\r\n\r\n")
        assert answer(connection)[0] == 400
    assert target.metric("image_classifier_requests_total", route="other", code="400") == before + 1
