"""Which store entries the service accepts: those of older trainings, and none that only newer code understands."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_format.metadata import Resize
from tests.integration.conftest import Store, serving
from tests.stored import CLASSES, METADATA, picture, place, write_entry

FIND = "from bento.models import model; print(*model.find('image_classifier', None, None).class_names)"


def find(store: Store) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", FIND]
    return subprocess.run(command, env=store.environment, capture_output=True, text=True, check=False, timeout=60)


def test_an_entry_that_an_older_training_stored_is_served(store: Store) -> None:
    tag = place(store.home)
    with serving(store, ".") as server:
        about = server.get("/version").json()
        assert (about["model"], about["runtime"], about["image_size"]) == (tag, "onnx-int8", 8)
        for colour in CLASSES:
            assert server.predict(picture(colour)).json()["predicted_class"] == colour
        assert server.metric("image_classifier_drift_baseline_images", model=tag) == 6


def test_an_entry_of_a_newer_schema_ends_the_start_with_one_line(store: Store) -> None:
    tag = place(store.home, schema=3)
    done = store.bentoml("serve", ".")
    assert done.returncode != 0
    assert done.stderr == (
        f"error: {tag} was made by a newer version of this project: its metadata has schema 3, this version reads up "
        "to 2; use the newer version, or train the model again with this one\n"
    )


@pytest.mark.parametrize("kept", [("schema", "class_names", "image_size"), ("class_names", "image_size")])
def test_an_entry_needs_no_more_than_classes_image_size_and_policy(store: Store, kept: tuple[str, ...]) -> None:
    metadata = METADATA.to_metadata()
    publish(store, {name: metadata[name] for name in (*kept, "image_policy")})
    assert find(store).stdout == "red green blue\n"


def publish(store: Store, metadata: dict[str, object]) -> None:
    """Store a model without any file of its own but the one that is looked for."""
    script = (
        "import bentoml, json, sys\n"
        "with bentoml.models.create('image_classifier', metadata=json.loads(sys.argv[1])) as model:\n"
        "    open(model.path_of('model.onnx'), 'w').close()"
    )
    command = [sys.executable, "-c", script, json.dumps(metadata)]
    subprocess.run(command, env=store.environment, check=True, timeout=60)


@pytest.mark.parametrize(("resize", "answer"), [("stretch", "red"), ("letterbox", "red"), ("crop", "green")])
def test_the_model_sees_images_as_its_training_did(resize: Resize, answer: str, tmp_path: Path) -> None:
    """A wide picture, red with green in its middle."""
    pixels = np.full((40, 200, 3), (200, 0, 0), np.uint8)
    pixels[:, 80:120] = (0, 200, 0)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    store = Store(tmp_path / "home")
    tag = store.publish(write_entry(tmp_path / "entry"), replace(METADATA, resize=resize))
    with serving(store, ".", MODEL_TAG=tag) as server:
        assert server.predict(stream.getvalue()).json()["predicted_class"] == answer
        assert server.get("/version").json()["resize"] == resize
