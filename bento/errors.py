"""Answers to failed requests: RFC 9457 problem details with stable codes."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import imaging

PROBLEM_JSON = b"application/problem+json"

STATUS = {
    "missing_file": 400,
    "multiple_files": 400,
    "malformed_request": 400,
    "unauthorized": 401,
    "not_found": 404,
    "explanations_off": 404,
    "limits_off": 404,
    "no_card": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "payload_too_large": 413,
    imaging.ImageTooLarge.code: 413,
    imaging.UnsupportedMediaType.code: 415,
    imaging.CorruptImage.code: 422,
    "queue_full": 429,
    "headers_too_large": 431,
    "internal_error": 500,
    "deadline_exceeded": 503,
    "draining": 503,
    "not_ready": 503,
    "not_live": 503,
}


PASSING = (429, 503)
"""Statuses of errors that pass. Each answer with one of them carries `Retry-After`."""


class RequestError(Exception):
    """An error that ends a request.

    Args:
        code: a key of `STATUS`.
        detail: what is wrong, for the client.
        headers: added to the answer.
        wait: seconds after which another try can succeed, if the status is one of `PASSING`. They are rounded up to at
            least one (RFC 9110, 10.2.3).
    """

    def __init__(
        self, code: str, detail: str, headers: list[tuple[bytes, bytes]] | None = None, *, wait: float = 1
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = headers or []
        if STATUS[code] in PASSING:
            self.headers = [*self.headers, (b"retry-after", b"%d" % max(1, -int(-wait // 1)))]


def problem(code: str, detail: str) -> dict[str, Any]:
    """Return the members of RFC 9457 for a failed request."""
    status = STATUS[code]
    return {
        "type": f"urn:image-classifier:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }


def problem_body(code: str, detail: str, **members: str) -> bytes:
    """Return the body of the answer to a failed request. `members` are added to those of RFC 9457."""
    return json.dumps(problem(code, detail) | members).encode()
