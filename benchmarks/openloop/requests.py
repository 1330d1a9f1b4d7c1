"""Make the bytes of requests, once before a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """The bytes of a whole request, and the `predicted_class` that its 200 must have; None accepts any body."""

    data: bytes
    predicted_class: str | None = None


def post(path: str, body: bytes, content_type: str = "image/jpeg", **headers: str) -> bytes:
    """Return the bytes of a POST; `x_api_key="k"` becomes the header `x-api-key: k`."""
    lines = [f"POST {path} HTTP/1.1", "host: openloop", f"content-type: {content_type}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def form(path: str, *images: bytes) -> bytes:
    """Return the bytes of a POST of images, each in a field `file`."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    parts = b"".join(head + image + b"\r\n" for image in images)
    return post(path, parts + b"--b--\r\n", "multipart/form-data; boundary=b")


def get(path: str) -> bytes:
    """Return the bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nhost: openloop\r\n\r\n".encode()
