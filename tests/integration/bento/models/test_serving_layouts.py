"""The source of a Bento's model: chosen at build, or inside the Bento as in an image. With real servers."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.integration.conftest import Store, serving
from tests.stored import picture, write_entry


def build(store: Store, **variables: str) -> Path:
    """Build a Bento of the checkout; returns its folder."""
    done = store.bentoml("build", ".", "-o", "tag", **variables)
    assert done.returncode == 0, done.stderr
    return store.home / "bentos" / done.stdout.strip().splitlines()[-1].removeprefix("__tag__:").replace(":", "/")


def test_model_tag_at_build_pins_that_model(store: Store, tmp_path: Path) -> None:
    older = store.publish(write_entry(tmp_path / "older"))
    store.publish(write_entry(tmp_path / "newer"))
    bento = build(store, MODEL_TAG=older)
    with serving(store, str(bento), cwd=tmp_path) as server:
        assert server.get("/livez").headers["x-model-version"] == older


def test_a_bento_with_its_model_inside_needs_no_store(store: Store, tmp_path: Path) -> None:
    pinned = store.publish(write_entry(tmp_path / "entry"))
    image = shutil.copytree(build(store), tmp_path / "image")
    shutil.copytree(store.home / "models", image / "models")
    (empty := Store(tmp_path / "empty")).home.mkdir()
    with serving(empty, str(image), cwd=tmp_path) as server:
        assert server.get("/livez").headers["x-model-version"] == pinned
        assert server.predict(picture("red")).json()["predicted_class"] == "red"
