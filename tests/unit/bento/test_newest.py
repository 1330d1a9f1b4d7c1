"""The model that `make run` serves and `make image` builds: the newest that can be served."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bentoml._internal.configuration.containers import BentoMLContainer

from bento.models import model
from bento.models.model import ModelError, ServedModel


def find(name: str, tag: str | None, runtime: None) -> ServedModel:
    if tag == f"{name}:foreign":
        raise ModelError(f"{tag} was trained on images decoded by policy 1")
    if tag == f"{name}:damaged":
        raise ModelError(f"the stored model {tag} can't be read")
    return ServedModel(str(tag), "onnx", Path("model.onnx"), ["a", "b"], 32)


@pytest.mark.parametrize(("entries", "tag"), [(["old", "foreign", "damaged"], "photos:old"), (["foreign"], None)])
def test_a_model_that_can_not_be_served_is_passed_over_for_the_next(
    entries: list[str], tag: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kind: one entry that is foreign or damaged stops whoever takes the newest."""
    for age, entry in enumerate(entries):
        (tmp_path / "photos" / entry).mkdir(parents=True)
        os.utime(tmp_path / "photos" / entry, (age, age))
    monkeypatch.setattr(model, "find", find)
    BentoMLContainer.model_store_dir.set(tmp_path)
    try:
        found, refused = model.newest("photos")
    finally:
        BentoMLContainer.model_store_dir.reset()
    assert (found and found.tag) == tag
    lines = {
        "damaged": "the stored model photos:damaged can't be read",
        "foreign": "photos:foreign was trained on images decoded by policy 1",
    }
    assert refused == [lines[entry] for entry in reversed(entries) if entry in lines]
