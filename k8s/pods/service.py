"""Send requests to a running classifier: `/version`, `/metrics`, and one image to `/predict`."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from typing import Any
from urllib.parse import urlsplit

from k8s.errors import K8sError, Refused, one_line
from k8s.pods.waiting import Deadline

_SECONDS = 30
"""Longest wait for the next byte of an answer."""
_BOUNDARY = "image-classifier-7f3c"


class Service:
    """One keep-alive connection to a base URL, opened by the first request.

    If the service requires an API key, set API_KEY: `ps` doesn't show the environment to other users.

    Args:
        url: `http(s)://HOST[:PORT][/PREFIX]`.
        deadline: limit of all requests together.

    Raises:
        K8sError: `url` is invalid.
    """

    def __init__(self, url: str, deadline: Deadline | None = None) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.scheme not in ("http", "https"):
            raise K8sError(f"--url {url}: write http://HOST[:PORT] or https://HOST[:PORT]")
        self._prefix, self._deadline = parts.path.rstrip("/"), deadline
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            trust = ssl.create_default_context()  # SSL_CERT_FILE names a private CA
            self._connection = http.client.HTTPSConnection(host, port, context=trust)
        else:
            self._connection = http.client.HTTPConnection(host, port)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def version(self) -> dict[str, Any]:
        """Return the answer of `/version`, which has model, digest and runtime."""
        return self._fields(("model", "digest", "runtime"), "GET", "/version")

    def metrics(self) -> str:
        """Return the answer of `/metrics`, Prometheus text."""
        return self._ask("GET", "/metrics").decode("utf-8", "replace")

    def predict(self, image: bytes, name: str) -> tuple[str, float]:
        """Return the predicted class of an encoded image, and its confidence in 0..1."""
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode() + image + f"\r\n--{_BOUNDARY}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        answer = self._fields(("predicted_class", "confidence_score"), "POST", "/predict", body, headers)
        return str(answer["predicted_class"]), float(answer["confidence_score"])

    def _fields(self, names: tuple[str, ...], method: str, path: str, *request: Any) -> dict[str, Any]:
        """Return a JSON object that has these fields. Another server at the URL may answer anything."""
        content = self._ask(method, path, *request)
        try:
            found: dict[str, Any] = json.loads(content)
            return found | {name: found[name] for name in names}
        except (ValueError, TypeError, KeyError) as error:
            said = one_line(content[:100].decode("utf-8", "replace"))
            raise Refused(f"{method} {path}: this isn't the classifier's answer: {said}") from error

    def _ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        key = os.environ.get("API_KEY")
        given = (headers or {}) | ({"X-API-Key": key} if key else {})
        left = _SECONDS if self._deadline is None else min(_SECONDS, self._deadline.left)
        if left <= 0:
            raise Refused(f"{method} {path}: not sent, because --timeout is up")
        self._connection.timeout = left
        if self._connection.sock is not None:
            self._connection.sock.settimeout(left)
        try:
            self._connection.request(method, self._prefix + path, body, given)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Refused(f"{method} {path}: no answer ({error or type(error).__name__})") from error
        if answer.status in (401, 403) and not key:
            raise Refused(f"{method} {path}: the service requires an API key; set API_KEY")
        if answer.status != 200:
            raise Refused(f"{method} {path}: {answer.status} {one_line(content[:200].decode('utf-8', 'replace'))}")
        return content
