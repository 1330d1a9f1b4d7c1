"""Cross-origin requests: which pages of other origins may call the service and read its answers (Fetch, 3.3)."""

from __future__ import annotations

from bento.http.request import Headers

_EXPOSED = (
    b"Inference-Header-Content-Length, Retry-After, Server-Timing, WWW-Authenticate, X-Model-Version, X-Request-ID"
)
_TAKEN = (
    b"Authorization, Content-Type, Inference-Header-Content-Length, X-API-Key, X-Request-ID, traceparent, tracestate"
)
_SECONDS = b"600"


class Origins:
    """The origins whose pages may call the service.

    Args:
        text: comma-separated, `*` for all; None for none.
    """

    def __init__(self, text: str | None) -> None:
        self._allowed = {origin.strip().lower().encode() for origin in (text or "").split(",") if origin.strip()}
        self._all = b"*" in self._allowed

    def headers(self, request: Headers) -> Headers:
        """Return what an answer to a request with these headers carries, whatever its status."""
        if not self._allowed:
            return []
        exposed = (b"access-control-expose-headers", _EXPOSED)
        if self._all:
            return [(b"access-control-allow-origin", b"*"), exposed]
        # A cache must not hand one origin's answer to another.
        vary = (b"vary", b"Origin")
        origin = _value(request, b"origin")
        return [vary, (b"access-control-allow-origin", origin), exposed] if origin in self._allowed else [vary]

    def preflight(self, method: str, request: Headers, allow: bytes) -> Headers | None:
        """Return what the answer to a preflight also carries; None if this is none, or its origin isn't allowed.

        Args:
            method: of the request.
            request: its headers.
            allow: the methods of its route.
        """
        if method != "OPTIONS" or not _value(request, b"access-control-request-method"):
            return None
        if not self._all and _value(request, b"origin") not in self._allowed:
            return None
        return [
            (b"access-control-allow-methods", allow),
            (b"access-control-allow-headers", _TAKEN),
            (b"access-control-max-age", _SECONDS),
        ]


def _value(headers: Headers, name: bytes) -> bytes:
    return next((value for key, value in headers if key == name), b"")
