"""API keys: if any are configured, only requests with one of them may send images."""

from __future__ import annotations

import hmac

from pydantic import SecretStr

from bento.errors import RequestError


class KeyRing:
    """The accepted keys.

    Args:
        keys: comma-separated; None accepts every request.
    """

    def __init__(self, keys: SecretStr | None) -> None:
        text = keys.get_secret_value() if keys else ""
        self._keys = [key.strip().encode() for key in text.split(",") if key.strip()]
        self._open = keys is None

    def check(self, headers: dict[bytes, bytes]) -> None:
        """Look for an accepted key in `X-API-Key` or as a bearer token.

        Raises:
            RequestError: unauthorized.
        """
        if self._open:
            return
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        given = headers.get(b"x-api-key") or (token.strip() if scheme.lower() == b"bearer" else b"")
        # Every key is compared, in constant time, so that the time taken reveals nothing.
        if not sum([hmac.compare_digest(given, key) for key in self._keys]):
            raise RequestError("unauthorized", "no valid API key", [(b"www-authenticate", b"Bearer")])
