"""What a client is told when a request fails: RFC 9457 problem details with stable codes."""

from __future__ import annotations

import json
from http import HTTPStatus

import imaging

PROBLEM_JSON = b"application/problem+json"

STATUS = {
    "missing_file": 400,
    "multiple_files": 400,
    "malformed_request": 400,
    "not_found": 404,
    "method_not_allowed": 405,
    "payload_too_large": 413,
    imaging.ImageTooLarge.code: 413,
    imaging.UnsupportedMediaType.code: 415,
    imaging.CorruptImage.code: 422,
    "internal_error": 500,
    "not_ready": 503,
}


class RequestError(Exception):
    """Ends a request; `code` is a key of `STATUS`, `headers` go into the answer."""

    def __init__(self, code: str, detail: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = headers or []


def problem(code: str, detail: str) -> bytes:
    """Return the body of the answer to a failed request (RFC 9457)."""
    status = STATUS[code]
    return json.dumps(
        {
            "type": f"urn:image-classifier:{code}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "code": code,
            "detail": detail,
        }
    ).encode()
