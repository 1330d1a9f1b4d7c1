"""Requests to a running classifier: `/version`, `/metrics` and one image to `/predict`."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from typing import Any
from urllib.parse import urlsplit

from k8s.errors import K8sError, Refused

_SECONDS = 30
_BOUNDARY = "image-classifier-7f3c"


class Service:
    """One keep-alive connection to a base URL.

    The API key, where the service wants one, comes from API_KEY in the environment, where `ps` doesn't show it.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise K8sError(f"--url {url}: write http://HOST[:PORT] or https://HOST[:PORT]")
        self._url, self._prefix = url, parts.path.rstrip("/")
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            trust = ssl.create_default_context()  # SSL_CERT_FILE names a private CA
            self._connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=_SECONDS, context=trust)
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_SECONDS)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def version(self) -> dict[str, Any]:
        """Return what `/version` says: model, digest, runtime."""
        found: dict[str, Any] = json.loads(self._ask("GET", "/version"))
        return found

    def metrics(self) -> str:
        """Return the Prometheus text."""
        return self._ask("GET", "/metrics").decode()

    def predict(self, image: bytes, name: str) -> tuple[str, float]:
        """Return class and confidence of an encoded image."""
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode() + image + f"\r\n--{_BOUNDARY}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        answer = json.loads(self._ask("POST", "/predict", body, headers))
        return str(answer["predicted_class"]), float(answer["confidence_score"])

    def _ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        key = os.environ.get("API_KEY")
        given = (headers or {}) | ({"X-API-Key": key} if key else {})
        try:
            self._connection.request(method, self._prefix + path, body, given)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Refused(f"{method} {path}: no answer ({error or type(error).__name__})") from error
        if answer.status in (401, 403) and not key:
            raise Refused(f"{method} {path}: the service wants an API key; set API_KEY")
        if answer.status != 200:
            raise Refused(f"{method} {path}: {answer.status} {content[:200].decode('utf-8', 'replace')}")
        return content
