"""The image fetches another model into a volume, as an init container does, and serves it from there."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.containers.conftest import Image, running
from tests.integration.conftest import Store
from tests.stored import picture, write_entry


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Yield the address of a web server for the files in tmp_path / "site"."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def fetched(image: Image, tmp_path: Path, site: str, volume: str, entry: Path) -> str:
    """Publish and export `entry`, let the image fetch it into the volume, and return its tag."""
    store = Store(tmp_path / "elsewhere")
    tag = store.publish(entry)
    archive = tmp_path / "site" / "other.bentomodel"
    exported = store.bentoml("models", "export", tag, str(archive))
    assert exported.returncode == 0, exported.stderr
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    arguments = ["python", "-m", "bento.fetch", f"{site}/{archive.name}", "--sha256", digest, "--into", "/bentoml"]
    options = ("--network=host", f"--volume={volume}:/bentoml")
    done = image.run(*arguments, options=options)
    assert (done.returncode, done.stdout) == (0, f"{tag} fetched\n"), done.stderr
    again = image.run(*arguments, options=options)
    assert (again.returncode, again.stdout) == (0, f"{tag} is there already\n")
    return tag


def test_a_fetched_model_is_served_by_its_tag(image: Image, tmp_path: Path, site: str, volume: str) -> None:
    tag = fetched(image, tmp_path, site, volume, write_entry(tmp_path / "entry", sharpness=2, int8=False))
    assert tag != image.model
    # The server needs only read access.
    with running(image, f"--volume={volume}:/bentoml:ro", MODEL_TAG=tag) as container:
        answer = container.predict(picture("blue"))
        assert answer.headers["x-model-version"] == tag
        assert answer.json()["predicted_class"] == "blue"
        assert container.get("/version").json()["runtime"] == "onnx"
    with running(image, f"--volume={volume}:/bentoml:ro") as container:
        assert container.get("/version").json()["model"] == image.model


def test_a_damaged_model_ends_the_container_with_one_line(image: Image, tmp_path: Path, site: str, volume: str) -> None:
    entry = write_entry(tmp_path / "entry")
    (entry / "model-int8.onnx").write_bytes(b"no model")
    tag = fetched(image, tmp_path, site, volume, entry)
    done = image.run(options=(f"--volume={volume}:/bentoml:ro", f"--env=MODEL_TAG={tag}"))
    assert done.returncode == 1
    assert done.stderr.count("the model can't be loaded") == 1
    assert "Traceback" not in done.stderr
