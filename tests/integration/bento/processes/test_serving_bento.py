"""A built Bento, served from stores that changed since the build and from other stores, by real servers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import Store, serving
from tests.stored import picture, write_entry


@pytest.fixture
def built(store: Store, tmp_path: Path) -> tuple[str, str]:
    """The tags of a Bento and of the model it pins."""
    model = store.publish(write_entry(tmp_path / "pinned"))
    done = store.bentoml("build", ".", "-o", "tag")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1].removeprefix("__tag__:"), model


def test_a_bento_ignores_newer_models_even_broken_ones(store: Store, built: tuple[str, str], tmp_path: Path) -> None:
    bento, pinned = built
    store.publish(write_entry(tmp_path / "newer", int8=False))
    foreign = "import bentoml\nwith bentoml.models.create('image_classifier'): pass"
    subprocess.run([sys.executable, "-c", foreign], env=store.environment, check=True)
    # Any case will do for a level.
    with serving(store, bento, cwd=tmp_path, RUNTIME="onnx-int8", LOG_LEVEL="WARNING") as server:
        assert server.get("/livez").headers["x-model-version"] == pinned
        assert server.metric("image_classifier_model_info", tag=pinned, runtime="onnx-int8") == 1
        assert "settings:" not in server.log.read_text()

    done = store.bentoml("serve", ".")
    assert done.returncode != 0
    assert "was not made by this project's training" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_pinned_model_is_an_error_of_one_line(store: Store, built: tuple[str, str], tmp_path: Path) -> None:
    bento, pinned = built
    store.publish(write_entry(tmp_path / "newer"))
    shutil.rmtree(store.home / "models" / pinned.replace(":", "/"))
    done = store.bentoml("serve", bento)
    assert done.returncode != 0
    assert f"no model {pinned} in the store" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_an_exported_bento_serves_after_its_import(store: Store, built: tuple[str, str], tmp_path: Path) -> None:
    bento, pinned = built
    archive = str(tmp_path / "exported.bento")
    assert store.bentoml("export", bento, archive).returncode == 0
    elsewhere = Store(tmp_path / "elsewhere")
    done = elsewhere.bentoml("import", archive)
    assert done.returncode == 0, done.stderr
    with serving(elsewhere, bento, cwd=tmp_path) as server:
        assert server.get("/livez").headers["x-model-version"] == pinned
        assert server.predict(picture("blue")).json()["predicted_class"] == "blue"
