"""The metadata of stored models: entries of every schema that this code can meet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from model_format.errors import FormatError
from model_format.layout import FILES, forms
from model_format.metadata import SCHEMA, Baseline, Metadata
from tests.stored import METADATA, SCHEMA_1

TAG = "image_classifier:abc"


def stored() -> dict[str, Any]:
    """Return the metadata of an entry that a training of schema 1 stored."""
    metadata: dict[str, Any] = yaml.safe_load((SCHEMA_1 / "model.yaml").read_text())["metadata"]
    assert metadata["schema"] == 1
    return metadata


def test_an_entry_of_schema_1_is_read_whole_and_written_the_same() -> None:
    about = Metadata.from_metadata(stored(), TAG)
    assert (about.class_names, about.image_size, about.image_policy) == (["blue", "green", "red"], 8, 2)
    assert about.data is not None
    assert about.data["splits"]["train"] == {"blue": 16, "green": 16, "red": 16}
    assert about.temperature == stored()["temperature"]
    assert about.metrics["accuracy"] == 1
    assert about.config["epochs"] == 40
    assert about.versions["python"].startswith("3.")
    assert about.int8 is not None
    assert about.int8["kept"] is True
    assert about.baseline is not None
    assert about.baseline.images == 6
    assert set(about.baseline.shares) == {"class", "confidence", "brightness", "bytes"}
    assert list(about.to_metadata().items()) == list(stored().items())


def test_an_entry_has_the_files_that_its_forms_name() -> None:
    assert forms(SCHEMA_1) == ["onnx-int8", "onnx", "keras"]
    assert list(FILES.values()) == ["model-int8.onnx", "model.onnx", "model.keras"]


def test_an_entry_without_a_schema_needs_classes_and_image_size_alone() -> None:
    about = Metadata.from_metadata({"class_names": ["cat", "dog"], "image_size": 32}, TAG)
    assert about == Metadata(["cat", "dog"], 32)
    assert about.to_metadata()["schema"] == 1


def test_only_an_entry_that_does_not_stretch_images_needs_a_reader_of_schema_2() -> None:
    about = Metadata(["cat", "dog"], 32, resize="crop")
    plain = about.to_metadata()
    assert plain["schema"] == 2
    assert Metadata.from_metadata(plain, TAG) == about
    with pytest.raises(FormatError, match=f"{TAG} resizes images by 'squash', which isn't one of stretch, letterbox, "):
        Metadata.from_metadata(plain | {"resize": "squash"}, TAG)


def test_fields_that_this_code_does_not_know_are_ignored() -> None:
    assert Metadata.from_metadata(stored() | {"author": "somebody"}, TAG) == Metadata.from_metadata(stored(), TAG)


@pytest.mark.parametrize("schema", [SCHEMA + 1, 10**9, "1.5"])
def test_an_entry_of_a_newer_schema_is_refused_in_one_line(schema: object) -> None:
    with pytest.raises(FormatError) as caught:
        Metadata.from_metadata({"schema": schema}, TAG)
    assert str(caught.value) == (
        f"{TAG} was made by a newer version of this project: its metadata has schema {schema}, this version reads up "
        f"to {SCHEMA}; use the newer version, or train the model again with this one"
    )


@pytest.mark.parametrize(
    "metadata",
    [{}, {"class_names": ["cat"]}, {"image_size": 8}, {"class_names": 3, "image_size": 8}]
    + [{"class_names": ["cat"], "image_size": size} for size in (None, "large", [8])],
)
def test_an_entry_of_another_project_is_refused_in_one_line(metadata: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match=rf"^{TAG} was not made by this project's training: .*$"):
        Metadata.from_metadata(metadata, TAG)


@pytest.mark.parametrize(
    "baseline", [3, {}, {"images": "many"}, {"images": 3, "class": 1}, {"images": 3, "class": ["a"]}]
)
def test_a_damaged_baseline_is_refused_in_one_line(baseline: object) -> None:
    with pytest.raises(FormatError, match=rf"^{TAG} has a drift baseline that can't be read; train the model again$"):
        Metadata.from_metadata(METADATA.to_metadata() | {"baseline": baseline}, TAG)


def test_a_baseline_is_read_as_it_was_written() -> None:
    baseline = Baseline(3, {"class": [1 / 3, 2 / 3]})
    assert baseline.to_metadata() == {"images": 3, "class": [1 / 3, 2 / 3]}
    assert Baseline.from_metadata(baseline.to_metadata(), TAG) == baseline


def test_undefined_values_are_left_out_at_every_depth_because_bentoml_stores_none() -> None:
    about = replace(METADATA, metrics={"f1": {"macro": 0.5, "per_class": {"cat": None}}}, git_revision=None)
    written = about.to_metadata()
    assert written["metrics"] == {"f1": {"macro": 0.5, "per_class": {}}}
    assert not {"git_revision", "data", "temperature"} & set(written)
    assert written["int8"] == {}
