"""Run a real S3 server (moto) as a process, and a proxy in front of it that fails as a test asks."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from tests.environments import environment

LOCK = Path(__file__).parent / "moto.txt"


@dataclass(frozen=True)
class S3:
    """A running server; `port` is on the loopback."""

    port: int

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variables for a client, which also switch off the machine's own AWS settings."""
        return settings(self.port)

    def put_all(self, bucket: str, objects: dict[str, bytes]) -> None:
        """Create the bucket if it is missing, and store the objects by their names, which may hold any characters."""
        self._put(bucket, objects.items())

    def put_tree(self, bucket: str, root: Path, prefix: str = "") -> None:
        """Store the files below `root`, with `prefix` before their names."""
        files = (path for path in sorted(root.rglob("*")) if path.is_file())
        self._put(bucket, ((prefix + path.relative_to(root).as_posix(), path.read_bytes()) for path in files))

    def _put(self, bucket: str, objects: Iterable[tuple[str, bytes]]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for name, body in itertools.chain([("", b"")], objects):
            connection.request("PUT", f"/{bucket}/{quote(name)}" if name else f"/{bucket}", body, _SIGNED)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200 or (answer.status == 409 and not name), text
        connection.close()


def settings(port: int) -> dict[str, str]:
    """Return the environment variables for an S3 server on a port of the loopback."""
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "very-secret-key",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextlib.contextmanager
def s3_server() -> Iterator[S3]:
    """Run moto on a free port until the `with` block ends."""
    command = environment(LOCK).parent / "moto_server"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([command, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
        try:
            _wait(process, port)
            yield S3(port)
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "moto ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError("moto doesn't answer")


# moto checks the access key but not the signature. Everybody may read the objects.
_SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, Signature=0",
    "x-amz-acl": "public-read",
}

Fault = Callable[[str], int | str | None]
"""From a request's path and query to a status to answer with, "cut", "stall", or None for the server's own answer."""


@dataclass
class Between:
    """The state of the proxy: `requests` has the path of each request, and `fault` may be changed at any time."""

    port: int
    fault: Fault = lambda _: None
    requests: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def objects(self) -> list[str]:
        """Return the requests for objects; all others are listings."""
        return [path for path in self.requests if "list-type" not in path]


@contextlib.contextmanager
def between(s3: S3) -> Iterator[Between]:
    """Run a proxy between clients and `s3` until the `with` block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    state = server.state = Between(server.server_port)  # type: ignore[attr-defined]
    server.upstream = s3.port  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        state.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        state: Between = self.server.state  # type: ignore[attr-defined]
        state.requests.append(self.path)
        fault = state.fault(self.path)
        if fault == "stall":
            state.ended.wait(60)
        if isinstance(fault, int):
            self._answer(fault, f"<Error><Code>{_CODES.get(fault, 'Odd')}</Code></Error>".encode(), {})
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)  # type: ignore[attr-defined]
        upstream.request("GET", self.path, headers=dict(self.headers))
        answer = upstream.getresponse()
        body = answer.read()
        upstream.close()
        kept = {name: value for name, value in answer.headers.items() if name.lower() in _KEPT}
        self._answer(answer.status, body, kept, cut=fault == "cut")

    def _answer(self, status: int, body: bytes, headers: dict[str, str], cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""


_KEPT = ("etag", "last-modified", "content-type", "content-range")
_CODES = {403: "AccessDenied", 404: "NoSuchKey", 503: "SlowDown", 301: "PermanentRedirect"}
