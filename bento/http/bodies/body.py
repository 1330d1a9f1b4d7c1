"""Read a request's body under its limits, and take the images out of it: multipart or raw."""

from __future__ import annotations

import re
from time import perf_counter

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from bento.errors import RequestError
from bento.http.request import Request
from bento.inference.admission import Admission
from bento.inference.work import ClientDisconnected
from bento.settings import Settings
from bento.telemetry import metrics

FIELD = b"file"
MAX_PARTS = 1000
"""A form of 20 MiB could have a million parts, and take the parser seconds."""
MAX_PART_HEAD = 64 * 1024
"""Bytes of a part's header; as many as a request's own head may have."""


class HeldBody:
    """The whole body of a request, counted among the bytes held for as long as the `async with` lasts.

    Not a generator with `asynccontextmanager`: an error would hold its frame, and with it the body.

    Args:
        request: whose body is read; its stage `receive` is noted.
        settings: the service's.
        admission: counts the bytes held.
    """

    __slots__ = ("_admission", "_request", "_settings", "_size")

    def __init__(self, request: Request, settings: Settings, admission: Admission) -> None:
        self._request = request
        self._settings = settings
        self._admission = admission
        self._size = 0

    async def __aenter__(self) -> bytes:
        """Read the body; raises what `_read` does."""
        began = perf_counter()
        body = await _read(self._request, self._settings, self._admission)
        self._size = len(body)
        ended = perf_counter()
        self._request.stages["receive"] = (began, ended)
        metrics.stage["receive"].observe(ended - began)
        return body

    async def __aexit__(self, *_: object) -> None:
        self._admission.release(self._size)


async def _read(request: Request, settings: Settings, admission: Admission) -> bytes:
    """Return the whole body of a request, with its bytes held; after an error none are held.

    Raises:
        RequestError: unsupported_media_type for a compressed body; payload_too_large, before reading if Content-Length
            says so; request_timeout if it pauses or is too slow; queue_full if all bodies together would be too large.
        ClientDisconnected: the client left before the body was complete.
    """
    encoding = request.headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        accepted = [(b"accept-encoding", b"identity")]
        raise RequestError("unsupported_media_type", "send the body without a Content-Encoding", accepted)
    limit = settings.max_body_bytes
    declared = request.headers.get(b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    whole = request.whole_body()
    if whole is not None:
        if len(whole) > limit:
            raise _too_large(limit)
        admission.hold(len(whole))
        return whole
    chunks: list[bytes] = []
    size = 0
    latest = request.started
    try:
        while True:
            # Neither alone bounds a slow sender: a byte now and then never pauses, and a large first piece buys time.
            due = request.started + size / settings.receive_rate
            message = await request.receive_until(min(latest, due) + settings.receive_timeout)
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            chunk = message.get("body", b"")
            if chunk:
                latest = perf_counter()
            if size + len(chunk) > limit:
                raise _too_large(limit)
            admission.hold(len(chunk))
            size += len(chunk)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)
    except BaseException:
        admission.release(size)
        raise


def _too_large(limit: int) -> RequestError:
    # No `connection: close`: uvicorn would drop the unread rest, and the reset would destroy the answer on its way to
    # a client that is still sending. On an open connection uvicorn discards the rest without buffering it.
    return RequestError("payload_too_large", f"the body is over {limit:,} bytes")


_BOUNDARY = re.compile(rb"multipart/form-data; ?boundary=(\"?)([0-9A-Za-z'()+_,./:=?-]{1,70})\1", re.IGNORECASE)
_PLAIN_HEAD = re.compile(
    rb'\r\n(?i:content-disposition: form-data); name="file"(?:; filename="[^"\\\r\n]*")?'
    rb"(?:\r\n(?i:content-(?:type|length)): [^\r\n]*){0,2}\r\n\r\n"
)


def plain_image(body: bytes, content_type: bytes) -> bytes | None:
    """Return the image of a body in one of the usual shapes: raw, or in a form with one part.

    None means that `image_of` must parse the body, which costs a hundred times as much. Both return the same image
    wherever this function returns one.
    """
    found = _BOUNDARY.fullmatch(content_type)
    if found is None:
        return body if body and content_type in (b"image/jpeg", b"image/png", b"application/octet-stream") else None
    delimiter = b"--" + found[2]
    head = _PLAIN_HEAD.match(body, len(delimiter))
    if head is None or head.end() > MAX_PART_HEAD or not body.startswith(delimiter):
        return None
    end = body.find(b"\r\n" + delimiter, head.end())
    # The first delimiter after the head must be the last one.
    return body[head.end() : end] if end >= 0 and body[end + 2 + len(delimiter) :] in (b"--\r\n", b"--") else None


def image_of(body: bytes, content_type: bytes) -> bytes:
    """Return the one image that `body` carries.

    A multipart body carries it in the field `file`, whose declared type is ignored. A body of type image/* or
    application/octet-stream is the image itself.

    Raises:
        RequestError: missing_file, multiple_files or malformed_request.
    """
    kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        boundary = options.get(b"boundary")
        if not boundary:
            raise RequestError("malformed_request", "multipart/form-data without a boundary")
        return _only_file(_files(body, boundary))
    if kind.startswith(b"image/") or kind == b"application/octet-stream":
        if not body:
            raise RequestError("missing_file", "the body is empty")
        return body
    raise RequestError(
        "missing_file", "send multipart/form-data with the image in the field 'file', or the image itself as image/*"
    )


def images_of(body: bytes, content_type: bytes) -> list[bytes]:
    """Return all images that a multipart body carries in fields `file`, in order.

    Raises:
        RequestError: missing_file or malformed_request.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data":
        raise RequestError("missing_file", "send multipart/form-data with the images in fields 'file'")
    if not boundary:
        raise RequestError("malformed_request", "multipart/form-data without a boundary")
    files = _files(body, boundary)
    if not files:
        raise RequestError("missing_file", "no field 'file' in the form")
    return files


def _only_file(files: list[bytes]) -> bytes:
    if not files:
        raise RequestError("missing_file", "no field 'file' in the form")
    if len(files) > 1:
        raise RequestError("multiple_files", f"{len(files)} fields 'file' in the form; send one")
    return files[0]


def _files(body: bytes, boundary: bytes) -> list[bytes]:
    """Return the contents of all parts named `file`, in order."""
    form = _Form()
    callbacks = {
        "on_part_begin": form.part_begin,
        "on_header_field": form.header_field,
        "on_header_value": form.header_value,
        "on_header_end": form.header_end,
        "on_part_data": form.part_data,
        "on_part_end": form.part_end,
        "on_end": form.end,
    }
    try:
        parser = MultipartParser(boundary, callbacks, max_header_size=MAX_PART_HEAD)  # type: ignore[arg-type]
        parser.write(_without_preamble(body, b"--" + boundary))
        parser.finalize()
    except FormParserError as error:
        raise RequestError("malformed_request", "the multipart body is broken") from error
    if not form.complete:
        raise RequestError("malformed_request", "the multipart body ends before its last boundary")
    return form.files


def _without_preamble(body: bytes, delimiter: bytes) -> bytes:
    """Cut off the preamble, which is to be ignored (RFC 2046, 5.1.1), but which the parser refuses."""
    if body.startswith(delimiter):
        return body
    before = body.find(b"\r\n" + delimiter)
    return body if before < 0 else body[before + 2 :]


class _Form:
    """Collects the parts named `file` from the parser's callbacks."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.complete = False
        self._parts = 0

    def part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise RequestError("malformed_request", f"over {MAX_PARTS} parts in the form")
        self._name: bytes | None = None
        self._field, self._value = b"", b""
        self._chunks: list[bytes] = []

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._name = parse_options_header(self._value)[1].get(b"name")
        self._field, self._value = b"", b""

    def part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FIELD:
            self._chunks.append(data[start:end])

    def part_end(self) -> None:
        if self._name == FIELD:
            self.files.append(b"".join(self._chunks))

    def end(self) -> None:
        self.complete = True
