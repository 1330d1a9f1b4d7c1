"""Which model is served, how a server starts and ends, and what a mistake costs. All with real servers."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import Server, Store, serving
from tests.stored import picture, write_entry


def version(server: Server) -> str:
    return server.get("/livez").headers["x-model-version"]


def test_the_newest_model_is_served_unless_a_tag_is_named(store: Store, tmp_path: Path) -> None:
    first = store.publish(write_entry(tmp_path / "first"))
    second = store.publish(write_entry(tmp_path / "second", int8=False))
    with serving(store, ".") as server:
        assert version(server) == second
        assert server.metric("image_classifier_model_info", runtime="onnx") == 1
    with serving(store, ".", MODEL_TAG=first) as server:
        assert version(server) == first
        assert server.metric("image_classifier_model_info", runtime="onnx-int8") == 1


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"MODEL_TAG": "image_classifier:none"}, "no model image_classifier:none in the store"),
        ({"RUNTIME": "keras"}, "has no model.keras; it has onnx-int8, onnx"),
        ({"RUNTIME": "tensorrt"}, "RUNTIME='tensorrt': Input should be"),
        ({"MAX_PIXELS": "abc"}, "MAX_PIXELS='abc': Input should be a valid integer"),
        ({"MAX_PIXELS": "100000000"}, "MAX_PIXELS='100000000': Input should be less than or equal to 89478485"),
        ({"THREADS": "0"}, "THREADS='0': Input should be greater than or equal to 1"),
        ({"BENTOML_CONFIG_OPTIONS": "services.image_classifier.workers=3"}, "configuration has workers: 3, which"),
        (
            {"BENTOML_CONFIG_OPTIONS": "services.http.cors.enabled=true"},
            "http.cors.enabled: True, which this service doesn't follow; set CORS_ORIGINS",
        ),
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_line(
    colour_store: tuple[Store, str], variables: dict[str, str], message: str
) -> None:
    done = colour_store[0].bentoml("serve", ".", **variables)
    assert done.returncode != 0
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize("command", ["serve", "build"])
def test_an_empty_store_is_one_line_that_says_how_to_fill_it(store: Store, command: str) -> None:
    done = store.bentoml(command, ".")
    assert done.returncode != 0
    assert "the model store has no image_classifier; train one: python -m training --data DIR" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(colour_store: tuple[Store, str], signal_: signal.Signals) -> None:
    with serving(colour_store[0], ".") as server:
        assert server.predict(picture("red")).status_code == 200
        server.stop(signal_)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", server.port)) != 0
        assert "Traceback" not in server.log.read_text()


def test_a_damaged_model_ends_the_server_with_one_line(store: Store, tmp_path: Path) -> None:
    entry = write_entry(tmp_path / "entry")
    (entry / "model-int8.onnx").write_bytes(b"no model")
    store.publish(entry)
    with serving(store, ".", wait=False) as server:
        server.process.wait(timeout=60)
        log = server.log.read_text()
    assert "the model can't be loaded" in log
    assert "Traceback" not in log


def test_a_built_bento_keeps_the_model_it_was_built_with(store: Store, tmp_path: Path) -> None:
    pinned = store.publish(write_entry(tmp_path / "pinned"))
    built = store.bentoml("build", ".", "-o", "tag")
    assert built.returncode == 0, built.stderr
    tag = built.stdout.strip().splitlines()[-1].removeprefix("__tag__:")
    newer = store.publish(write_entry(tmp_path / "newer"))
    with serving(store, tag, cwd=tmp_path) as server:
        assert version(server) == pinned
        assert server.predict(picture("green")).json()["predicted_class"] == "green"
    with serving(store, tag, cwd=tmp_path, MODEL_TAG=newer) as server:
        assert version(server) == newer

    bento = store.home / "bentos" / tag.replace(":", "/")
    assert {entry.name for entry in (bento / "src").iterdir() if entry.is_dir()} == {"bento", "imaging", "model_format"}
    locked = (bento / "env" / "python" / "requirements.txt").read_text()
    assert "--hash=sha256:" in locked
    assert "tensorflow" not in locked

    script = (
        "import bento.service, bento.http.app, sys; print(bento.service.__file__); assert 'keras' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=bento / "src",
        env=store.environment | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(bento))
