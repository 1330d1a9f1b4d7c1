"""A stored model is recalibrated on other images: all forms change together, and the stored model not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import imaging
from model_format import golden
from model_format.layout import FILES, Form, forms
from model_format.limits import read
from model_format.metadata import Metadata
from tests.checked import source
from tests.stored import SCHEMA_1, write_entry
from training.data.dataset import Part
from training.errors import ModelError
from training.export.recalibrate import recalibrate
from training.forms.onnx_model import OnnxModel

TAG = "image_classifier:old"
ABOUT = Metadata.from_metadata(yaml.safe_load((SCHEMA_1 / "model.yaml").read_text())["metadata"], TAG)
ONNX: tuple[Form, ...] = ("onnx", "onnx-int8")


def part(images: int) -> Part:
    """Return images of the colours of `SCHEMA_1`, of which every fifth has a wrong label."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, images)
    pixels = rng.integers(0, 60, (images, 8, 8, 3)).astype(np.uint8)
    pixels[np.arange(images), :, :, 2 - labels] += rng.integers(60, 190, (images, 1, 1)).astype(np.uint8)
    labels[::5] = (labels[::5] + 1) % 3
    return source("data", pixels, labels, ABOUT.class_names).part


class Weight:
    def __init__(self) -> None:
        self.divisor = 1.0

    def __truediv__(self, number: float) -> float:
        return number

    def assign(self, number: float) -> None:
        self.divisor = number


class Network:
    """Stands for a Keras model: remembers what its last layer was divided by, and where it was saved."""

    def __init__(self) -> None:
        self.weights = [Weight(), Weight()]
        self.layers = [self]
        self.saved: list[Path] = []

    def save(self, file: Path) -> None:
        self.saved.append(file)


def test_all_forms_are_calibrated_by_one_temperature_and_the_stored_entry_stays(tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in SCHEMA_1.rglob("*") if path.is_file()}
    network, images, files = Network(), part(300), tmp_path / "entry"
    about = recalibrate(SCHEMA_1, ABOUT, TAG, images, "colours", files, lambda _: network)

    assert {path: path.read_bytes() for path in SCHEMA_1.rglob("*") if path.is_file()} == before
    assert not (files / "model.yaml").exists()
    assert forms(files) == forms(SCHEMA_1)
    assert about.temperature is not None
    assert ABOUT.temperature is not None
    divisor = about.temperature / ABOUT.temperature
    assert divisor > 1.1
    assert [weight.divisor for weight in network.weights] == pytest.approx([divisor] * 2)
    assert network.saved == [files / FILES["keras"]]
    for form in ONNX:
        old, new = OnnxModel(SCHEMA_1 / FILES[form]), OnnxModel(files / FILES[form])
        probabilities, scores = new.answers(images.batches())
        powers = old.predict(images.batches()).astype(float) ** (1 / divisor)
        assert np.allclose(probabilities, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)
        limits = read(files, form)
        assert limits is not None
        assert limits.images == 300
        assert limits.energy[499] == pytest.approx(np.median(-np.log(np.exp(scores).sum(axis=1))), abs=0.05)


def test_the_golden_images_and_the_metadata_are_those_of_the_new_entry(tmp_path: Path) -> None:
    files = tmp_path / "entry"
    about = recalibrate(SCHEMA_1, ABOUT, TAG, part(300), "colours", files, lambda _: Network())
    model = OnnxModel(files / FILES["onnx"])
    for image in golden.read(golden.folder_of(files)):
        (row,) = model(imaging.decode(image.image, 8)[np.newaxis])
        assert image.confidence == pytest.approx(row[about.class_names.index(image.class_name)], abs=1e-6)
    assert about.recalibration is not None
    assert {**about.recalibration, "fingerprint": "..."} == {
        "parent": TAG,
        "data": "colours",
        "images": 300,
        "fingerprint": "...",
    }
    assert about.baseline is not None
    assert about.baseline.images == 300
    assert "ece" not in about.metrics
    assert about.metrics["accuracy"] == ABOUT.metrics["accuracy"]
    assert Metadata.from_metadata(about.to_metadata(), "image_classifier:new") == about


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"^99 images are too few to recalibrate image_classifier:old; at least 100 are needed$"
    ):
        recalibrate(SCHEMA_1, ABOUT, TAG, part(99), "colours", tmp_path / "entry", _unused)


def test_a_network_without_a_dense_layer_at_its_end_is_refused(tmp_path: Path) -> None:
    entry = write_entry(tmp_path / "old")
    with pytest.raises(
        ModelError, match=r"^model-int8\.onnx doesn't end in a dense layer, so it can't be recalibrated$"
    ):
        recalibrate(entry, ABOUT, TAG, part(120), "colours", tmp_path / "entry", _unused)


def _unused(file: Path) -> Any:
    raise AssertionError(file)
