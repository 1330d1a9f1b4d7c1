"""Download one file with a known SHA-256, over HTTP or from an OCI registry."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import IO, Any

from bento.fetch.archive import ArchiveError

_TIMEOUT = 30
"""Seconds without a byte after which a download fails."""

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_MAX_MANIFEST = 4 * 2**20
_BLOCK = 2**20


class RemoteError(Exception):
    """The download failed; the message is one line."""


def download(url: str, sha256: str, out: IO[bytes], *, plain_http: bool, max_bytes: int) -> None:
    """Write the file into `out`. The environment variables FETCH_USER and FETCH_PASSWORD hold the credentials.

    Args:
        url: `http(s)://...`, or `oci://HOST/REPOSITORY:TAG`.
        sha256: of the file.
        out: receives the file; what was written is worthless if this raises.
        plain_http: use HTTP for the registry of an `oci://` URL.
        max_bytes: most bytes that are downloaded.

    Raises:
        RemoteError: the download failed.
        ArchiveError: the file is too large, or has another SHA-256.
    """
    authorization = _basic()
    if url.startswith("oci://"):
        url, authorization = _blob(url, sha256, plain_http)
    digest, size = hashlib.sha256(), 0
    with _open(url, authorization) as response:
        for block in _blocks(response, url):
            size += len(block)
            if size > max_bytes:
                raise ArchiveError(f"{_shown(url)} is larger than {max_bytes:,} bytes; --max-bytes allows more")
            digest.update(block)
            out.write(block)
    if digest.hexdigest() != sha256:
        raise ArchiveError(f"{_shown(url)} has the SHA-256 {digest.hexdigest()}, not {sha256}")


def _blocks(response: Any, url: str) -> Iterator[bytes]:
    size = 0
    try:
        while block := response.read(_BLOCK):
            size += len(block)
            yield block
    except (http.client.IncompleteRead, OSError) as error:
        reason = f"no byte for {_TIMEOUT} s" if isinstance(error, TimeoutError) else "the connection broke"
        raise RemoteError(f"{_shown(url)}: {reason}, after {size:,} bytes") from error
    # `read` with a number of bytes doesn't raise when the connection ends early.
    if (response.length or 0) > 0:
        raise RemoteError(f"{_shown(url)}: the connection broke, {response.length:,} bytes early")


def _blob(url: str, sha256: str, plain_http: bool) -> tuple[str, str | None]:
    """Return the URL of the layer with that SHA-256, and the Authorization header for it."""
    found = re.fullmatch(r"oci://([^/]+)/([a-z0-9._/-]+?)(?:[:@](\w[\w.+:-]*))?", url)
    if found is None:
        raise RemoteError(f"{_shown(url)}: the URL is not oci://HOST/REPOSITORY:TAG")
    host, repository, reference = found[1], found[2], found[3] or "latest"
    base = f"{'http' if plain_http else 'https'}://{host}/v2/{repository}"
    manifest_url = f"{base}/manifests/{reference}"
    authorization = _basic()
    try:
        response = _open(manifest_url, authorization, accept=_MANIFEST)
    except _Unauthorized as error:
        authorization = _bearer(error.challenge, repository)
        response = _open(manifest_url, authorization, accept=_MANIFEST)
    with response:
        try:
            manifest: Any = json.loads(response.read(_MAX_MANIFEST))
            layers = [layer["digest"] for layer in manifest["layers"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ArchiveError(f"{url} is no OCI artifact with layers; push the archive as one") from error
    if f"sha256:{sha256}" not in layers:
        raise ArchiveError(f"{url} has no layer with the SHA-256 {sha256}")
    return f"{base}/blobs/sha256:{sha256}", authorization


class _Unauthorized(RemoteError):
    def __init__(self, message: str, challenge: str) -> None:
        super().__init__(message)
        self.challenge = challenge


def _bearer(challenge: str, repository: str) -> str:
    """Return the Authorization header with a token for the user, or for an anonymous client.

    Source: OCI distribution, token authentication specification.
    """
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not challenge.lower().startswith("bearer") or "realm" not in asked:
        raise RemoteError("the registry needs credentials: set FETCH_USER and FETCH_PASSWORD")
    query = {"service": asked.get("service", ""), "scope": asked.get("scope", f"repository:{repository}:pull")}
    with _open(f"{asked['realm']}?{urllib.parse.urlencode(query)}", _basic()) as response:
        try:
            answer: Any = json.loads(response.read(_MAX_MANIFEST))
            return f"Bearer {answer.get('token') or answer['access_token']}"
        except (ValueError, KeyError, AttributeError) as error:
            raise RemoteError("the registry's token service gave no token") from error


def _basic() -> str | None:
    user, password = os.environ.get("FETCH_USER"), os.environ.get("FETCH_PASSWORD")
    if user is None and password is None:
        return None
    # An empty variable often comes from a Secret that was made from an unset one. The download would be anonymous.
    if not user or password == "":
        raise RemoteError(f"{'FETCH_PASSWORD' if user else 'FETCH_USER'} is empty or unset; set it, or unset both")
    return "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode()


def _open(url: str, authorization: str | None, accept: str = "*/*") -> Any:
    try:
        request = urllib.request.Request(url, headers={"Accept": accept, "User-Agent": "image-classifier"})
        if authorization is not None:
            # A registry may redirect to an object store, which must not get the credentials.
            request.add_unredirected_header("Authorization", authorization)
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        message = f"{_shown(url)}: {error.code} {error.reason}"
        if error.code == 401:
            raise _Unauthorized(message, error.headers.get("WWW-Authenticate", "")) from error
        raise RemoteError(message) from error
    except urllib.error.URLError as error:
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise RemoteError(f"{_shown(url)}: {reason}") from error
    except (http.client.HTTPException, ValueError) as error:
        raise RemoteError(f"{_shown(url)}: no usable answer ({error})") from error
    except OSError as error:
        raise RemoteError(f"{_shown(url)}: {error.strerror or error}") from error


def _shown(url: str) -> str:
    """Return the URL without its possible secrets: a user before the host, a signature after the question mark."""
    return re.sub(r"//[^/@]*@", "//", url.partition("?")[0])
