"""Features of decoded images: computed once, found again, and lost in no crash."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.folders import write_tree
from training.config import Config
from training.data.dataset import load
from training.data.part import Part
from training.features.frozen import FrozenFeatures


class Network:
    """Takes the place of a Keras network: two features, and a count of what it was asked."""

    class _Output:
        shape = (None, 2)

    output = input = _Output()

    def __init__(self, weight: float = 1.0) -> None:
        self.weights = [np.array(weight)]
        self.asked = 0

    def predict_on_batch(self, images: np.ndarray) -> Any:
        self.asked += 1
        half = images.shape[2] // 2
        return images[:, :, :half].mean(axis=(1, 2, 3))[:, None] * [1, 0] + images[:, :, half:].mean(axis=(1, 2, 3))[
            :, None
        ] * [0, 1]


@pytest.fixture
def part(tmp_path: Path) -> Part:
    data = write_tree(tmp_path / "data", {"red": 12, "green": 12})
    config = Config(data=str(data), cache_dir=str(tmp_path / "cache"), decoders=1, image_size=8)
    return load(config).parts["train"]


def values(features: FrozenFeatures, rows: np.ndarray, view: int = 0) -> np.ndarray:
    return np.concatenate([found for _, found in features.read(rows, view)])


def test_features_are_computed_once_and_found_again(part: Part) -> None:
    network: Any = Network()
    features = FrozenFeatures(part.images, network, mirrored=True)
    features.prepare(part.rows, "Features")
    asked = network.asked
    plain, mirrored = values(features, part.rows), values(features, part.rows, 1)
    assert plain == pytest.approx(Network().predict_on_batch(part[np.arange(len(part))]), rel=1e-5)
    assert mirrored == pytest.approx(plain[:, ::-1])
    again = FrozenFeatures(part.images, network, mirrored=True)
    again.prepare(part.rows, "Features")
    assert network.asked == asked
    assert values(again, part.rows[::-1]).tolist() == plain[::-1].tolist()


def test_what_is_missing_is_computed_and_nothing_else(part: Part) -> None:
    network: Any = Network()
    FrozenFeatures(part.images, network, mirrored=False).prepare(part.rows[:5], "Features")
    features = FrozenFeatures(part.images, network, mirrored=False)
    assert features._files[0].done.sum() == 5
    features.prepare(part.rows, "Features")
    assert network.asked == 2


def test_another_network_has_features_of_its_own(part: Part) -> None:
    first: Any = Network(1.0)
    FrozenFeatures(part.images, first, mirrored=False).prepare(part.rows, "Features")
    second: Any = Network(2.0)
    FrozenFeatures(part.images, second, mirrored=False).prepare(part.rows, "Features")
    assert second.asked == 1


def test_where_the_cache_can_not_be_written_features_are_kept_for_the_run(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kind: a cache that others fill is mounted read-only."""

    really = os.open

    def refused(path: str | Path, *arguments: Any, **options: Any) -> int:
        if "features-" in str(path):
            raise OSError(30, "Read-only file system")
        return really(path, *arguments, **options)

    monkeypatch.setattr("training.features.frozen.os.open", refused)
    features = FrozenFeatures(part.images, Network(), mirrored=False)
    features.prepare(part.rows, "Features")
    assert values(features, part.rows).shape == (len(part), 2)


def test_a_full_disk_ends_the_run_and_leaves_no_features_that_are_none(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kind: a map of a file on a full disk kills the process instead of raising an error."""

    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    features = FrozenFeatures(part.images, Network(), mirrored=False)
    monkeypatch.setattr("training.features.frozen.os.pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        features.prepare(part.rows, "Features")
    assert not FrozenFeatures(part.images, Network(), mirrored=False)._files[0].done.any()
