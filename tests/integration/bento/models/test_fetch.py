"""`python -m bento.fetch` against real HTTP servers: what it accepts, what it refuses, and which files it leaves."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bento.fetch import store
from tests.integration.conftest import Store
from tests.model_archives import BZIPPED, MODEL, MODEL_YAML, packed, sha256

COMMAND = [sys.executable, "-m", "bento.fetch"]


@dataclass
class Site:
    """A web server: its pages by path, and its requests with their Authorization."""

    port: int = 0
    pages: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    cut: int | None = None
    """Bytes after which the connection breaks."""
    stall: bool = False
    """Whether the connection stalls there and doesn't break."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append((self.path, self.headers.get("Authorization")))
            content = state.pages.get(self.path.partition("?")[0])
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: state.cut])
            if state.stall:
                self.wfile.flush()
                over.wait(30)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield state
    over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    return done


def content(home: Path) -> set[str]:
    """Return the files below a store, without the lock, which stays."""
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()} - {".fetch-lock"}


def test_an_exported_model_is_fetched_once_and_listed_by_bentoml(
    colour_store: tuple[Store, str], site: Site, tmp_path: Path
) -> None:
    store, tag = colour_store
    archive = tmp_path / "model.bentomodel"
    assert store.bentoml("models", "export", tag, str(archive)).returncode == 0
    site.pages["/model"] = archive.read_bytes()
    home = tmp_path / "pod"
    arguments = [f"{site.url}/model", "--sha256", sha256(site.pages["/model"]), "--into", str(home)]

    first = run(*arguments)
    assert (first.returncode, first.stdout) == (0, f"{tag} fetched\n"), first.stderr
    again = run(*arguments)
    assert (again.returncode, again.stdout) == (0, f"{tag} is there already\n")
    assert len(site.requests) == 1

    listed = Store(home).bentoml("models", "list", "-o", "json")
    assert tag in listed.stdout
    original = store.home / "models" / tag.replace(":", "/")
    fetched = home / "models" / tag.replace(":", "/")
    assert {path.name for path in fetched.rglob("*")} - {".fetched"} == {path.name for path in original.rglob("*")}
    assert (fetched / "model.onnx").read_bytes() == (original / "model.onnx").read_bytes()


@pytest.mark.parametrize("mode", ["w:xz", "w:gz", "w"])
def test_the_store_holds_only_the_model_afterwards(site: Site, tmp_path: Path, mode: str) -> None:
    site.pages["/m"] = packed({"model.yaml": MODEL_YAML, "model.onnx": b"weights"}, mode=mode)
    assert store.fetch(f"{site.url}/m", sha256(site.pages["/m"]), tmp_path) == ("image_classifier:abc123", True)
    folder = "models/image_classifier"
    files = {"model.yaml", "model.onnx", ".fetched"}
    assert content(tmp_path) == {f"{folder}/latest"} | {f"{folder}/abc123/{name}" for name in files}


def refused(site: Site, home: Path, *more: str, digest: str | None = None) -> tuple[int, str]:
    """Fetch /m, which must fail with one line and leave no file; return the exit status and the line."""
    digest = digest or sha256(site.pages.get("/m", b""))
    done = run(f"{site.url}/m", "--sha256", digest, "--into", str(home), *more)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stdout == ""
    assert content(home) == set()
    assert {path.name for path in home.iterdir()} <= {".fetch-lock"}
    return done.returncode, done.stderr


def test_an_archive_with_another_digest_is_refused(site: Site, tmp_path: Path) -> None:
    site.pages["/m"] = MODEL
    code, line = refused(site, tmp_path, digest="0" * 64)
    assert code == 4
    assert sha256(MODEL) in line


def test_a_broken_connection_has_its_own_exit_code(site: Site, tmp_path: Path) -> None:
    site.pages["/m"] = MODEL
    site.cut = 100
    code, line = refused(site, tmp_path)
    assert code == 3
    assert "the connection broke" in line


def test_a_missing_file_and_a_missing_server_are_one_line_each(site: Site, tmp_path: Path) -> None:
    code, line = refused(site, tmp_path)
    assert code == 3
    assert "404" in line
    done = run("http://127.0.0.1:9/m", "--sha256", "0" * 64, "--into", str(tmp_path))
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "refused" in done.stderr


def test_a_secret_in_the_url_is_not_shown(site: Site, tmp_path: Path) -> None:
    done = run(f"{site.url}/m?signature=secret", "--sha256", "0" * 64, "--into", str(tmp_path))
    assert site.requests[0][0] == "/m?signature=secret"
    assert "404" in done.stderr
    assert "secret" not in done.stderr


def test_an_archive_that_is_too_large_packed_or_unpacked_is_refused(site: Site, tmp_path: Path) -> None:
    site.pages["/m"] = MODEL
    assert refused(site, tmp_path, "--max-bytes", "100")[0] == 4
    site.pages["/m"] = packed({"model.yaml": MODEL_YAML, "model.onnx": bytes(2**20)})
    assert len(site.pages["/m"]) < 50_000
    code, line = refused(site, tmp_path, "--max-bytes", "100000")
    assert code == 4
    assert "unpacks to more than 100,000 bytes" in line


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "hostile",
    [
        *map(member, ("../outside", "golden/../../outside", "/tmp/image-classifier-outside")),
        *map(member, ("model.yaml", "model.yaml/below", "long" * 100)),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.LNKTYPE, "model.yaml"),
        member("null", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: info.name[:20],
)
def test_an_archive_with_links_devices_or_bad_paths_is_refused(
    site: Site, tmp_path: Path, hostile: tarfile.TarInfo
) -> None:
    site.pages["/m"] = packed({"model.yaml": MODEL_YAML}, hostile)
    assert refused(site, tmp_path / "home")[0] == 4
    assert {path.name for path in tmp_path.iterdir()} == {"home"}
    assert not Path("/tmp/image-classifier-outside").exists()


@pytest.mark.parametrize(
    "archive",
    [
        b"no archive",
        MODEL[: len(MODEL) // 2],
        packed({"model.onnx": b"weights"}),
        packed({"model.yaml": b"name: ../../evil\nversion: abc\n"}),
        packed({"model.yaml": b"name: image_classifier\n"}),
        packed({"model.yaml": MODEL_YAML + b"\xff\xfe", "sub/model.yaml": b""}).replace(b"\xfd7zXZ", b"\xfd7zXY"),
        BZIPPED[:-20_000] + bytes(8) + BZIPPED[-19_992:],
    ],
    ids=["text", "half", "no model.yaml", "name with a path", "no version", "damaged", "a later block damaged"],
)
def test_an_archive_without_a_readable_model_is_refused(site: Site, tmp_path: Path, archive: bytes) -> None:
    site.pages["/m"] = archive
    assert refused(site, tmp_path)[0] == 4


def test_an_existing_model_with_that_tag_is_not_replaced(site: Site, tmp_path: Path) -> None:
    there = tmp_path / "models" / "image_classifier" / "abc123"
    there.mkdir(parents=True)
    (there / "model.yaml").write_text("name: image_classifier")
    site.pages["/m"] = MODEL
    done = run(f"{site.url}/m", "--sha256", sha256(MODEL), "--into", str(tmp_path))
    assert done.returncode == 5
    assert "another image_classifier:abc123" in done.stderr
    assert content(tmp_path) == {"models/image_classifier/abc123/model.yaml"}


def test_a_store_that_cannot_be_written_is_one_line(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(f"{site.url}/m", "--sha256", "0" * 64, "--into", str(tmp_path / "file" / "home"))
    assert (done.returncode, len(done.stderr.splitlines())) == (5, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ftp://host/m", "--sha256", "0" * 64], "not http"),
        (["http://host/m", "--sha256", "12"], "64 hexadecimal digits"),
        (["http://host/m"], "required: --sha256"),
    ],
)
def test_a_wrong_command_line_is_explained(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = run(*arguments, "--into", str(tmp_path))
    assert done.returncode == 2
    assert re.fullmatch(f"error: .*{message}.*\n", done.stderr)


def test_a_killed_fetch_leaves_no_model_and_the_next_fetch_cleans_up(site: Site, tmp_path: Path) -> None:
    site.pages["/m"] = MODEL
    site.cut, site.stall = 100, True
    arguments = [*COMMAND, f"{site.url}/m", "--sha256", sha256(MODEL), "--into", str(tmp_path)]
    process = subprocess.Popen(arguments)
    try:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob(".fetch-*/archive")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "models").exists()

    site.cut, site.stall = None, False
    assert store.fetch(f"{site.url}/m", sha256(MODEL), tmp_path)[1]
    assert {path.name for path in tmp_path.iterdir()} == {".fetch-lock", "models"}


def test_simultaneous_fetches_download_once(site: Site, tmp_path: Path) -> None:
    site.pages["/m"] = MODEL
    arguments = [*COMMAND, f"{site.url}/m", "--sha256", sha256(MODEL), "--into", str(tmp_path)]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = sorted(process.communicate(timeout=60)[0].rpartition(":")[2].strip() for process in processes)
    assert said == ["abc123 fetched", "abc123 is there already", "abc123 is there already"]
    assert len(site.requests) == 1
    with contextlib.suppress(FileNotFoundError):
        assert not list(tmp_path.glob(".fetch-*/"))
