"""`python -m bento.fetch oci://...` against Debian's docker-registry, and against a registry that needs a token."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bento.fetch import __main__ as command
from bento.fetch import archive, remote, store
from tests import oci
from tests.model_archives import MODEL, sha256
from tests.registry import running_registry

REPOSITORY = "models/image_classifier"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the host:port of a registry that holds the model under the tag abc123."""
    with running_registry(tmp_path_factory.mktemp("registry")) as host:
        oci.push(host, REPOSITORY, "abc123", MODEL)
        yield host


def test_a_model_is_fetched_from_a_registry_by_tag_and_by_digest(registry: str, tmp_path: Path) -> None:
    for reference in (":abc123", f"@sha256:{sha256(oci.manifest(MODEL))}"):
        home = tmp_path / reference[1:4]
        url = f"oci://{registry}/{REPOSITORY}{reference}"
        assert store.fetch(url, sha256(MODEL), home, plain_http=True) == ("image_classifier:abc123", True)
        assert (home / "models/image_classifier/abc123/model.onnx").read_bytes() == b"weights"


def test_an_unknown_tag_and_a_wrong_digest_raise_different_errors(registry: str, tmp_path: Path) -> None:
    with pytest.raises(remote.RemoteError, match="manifests/none: 404"):
        store.fetch(f"oci://{registry}/{REPOSITORY}:none", sha256(MODEL), tmp_path, plain_http=True)
    with pytest.raises(archive.ArchiveError, match="has no layer with the SHA-256 0000"):
        store.fetch(f"oci://{registry}/{REPOSITORY}:abc123", "0" * 64, tmp_path, plain_http=True)


def test_a_registry_is_asked_over_tls_by_default(registry: str, tmp_path: Path) -> None:
    with pytest.raises(remote.RemoteError, match="https://"):
        store.fetch(f"oci://{registry}/{REPOSITORY}:abc123", sha256(MODEL), tmp_path)


@pytest.fixture
def guarded() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the URL of a registry that needs a token and redirects blobs to a storage path, and its requests."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path)
            authorization = self.headers.get("Authorization", "")
            seen.append((path.path, authorization))
            if path.path == "/token":
                asked = parse_qs(path.query)
                good = asked == {"service": ["here"], "scope": [f"repository:{REPOSITORY}:pull"]}
                user = base64.b64encode(b"user:password").decode()
                self.answer(200 if good and authorization == f"Basic {user}" else 403, b'{"token": "opaque"}')
            elif path.path == "/storage":
                self.answer(200, MODEL)
            elif authorization != "Bearer opaque":
                realm = f"http://127.0.0.1:{server.server_port}/token"
                challenge = f'Bearer realm="{realm}",service="here",scope="repository:{REPOSITORY}:pull"'
                self.answer(401, b"", ("WWW-Authenticate", challenge))
            elif "/manifests/" in path.path:
                self.answer(200, oci.manifest(MODEL))
            else:
                self.answer(307, b"", ("Location", "/storage"))

        def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
            self.send_response(status)
            for name, value in (*headers, ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"oci://127.0.0.1:{server.server_port}/{REPOSITORY}:abc123", seen
    server.shutdown()
    server.server_close()
    thread.join()


def test_credentials_and_token_are_not_sent_to_the_storage(
    guarded: tuple[str, list[tuple[str, str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, seen = guarded
    monkeypatch.setenv("FETCH_USER", "user")
    monkeypatch.setenv("FETCH_PASSWORD", "password")
    assert store.fetch(url, sha256(MODEL), tmp_path, plain_http=True)[1]
    assert seen[-1] == ("/storage", "")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"FETCH_USER": "", "FETCH_PASSWORD": ""}, "FETCH_USER"),
        ({"FETCH_USER": "", "FETCH_PASSWORD": "password"}, "FETCH_USER"),
        ({"FETCH_PASSWORD": "password"}, "FETCH_USER"),
        ({"FETCH_USER": "user", "FETCH_PASSWORD": ""}, "FETCH_PASSWORD"),
    ],
)
def test_credentials_that_are_set_but_empty_end_the_download(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    named: str,
) -> None:
    """A setting that protects something ends the start if it is set but empty; here it would fetch anonymously."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    status = command.main(["http://127.0.0.1:9/model", "--sha256", sha256(MODEL), "--into", str(tmp_path)])
    assert status == 3
    assert capsys.readouterr().err == f"error: {named} is empty or unset; set it, or unset both\n"


def test_wrong_credentials_are_one_line_without_the_password(
    guarded: tuple[str, list[tuple[str, str]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FETCH_USER", "user")
    monkeypatch.setenv("FETCH_PASSWORD", "wrong")
    status = command.main([guarded[0], "--sha256", sha256(MODEL), "--into", str(tmp_path), "--plain-http"])
    said = capsys.readouterr().err
    assert (status, len(said.splitlines())) == (3, 1)
    assert "/token: 403" in said
    assert "wrong" not in said
