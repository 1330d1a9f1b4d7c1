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


class Extract:
    """Takes the place of an extractor: two features, and a count of what it was asked."""

    length = 2

    def __init__(self, key: str = "some-network") -> None:
        self.key = key
        self.asked = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.asked += 1
        half = images.shape[2] // 2
        sides = (images[:, :, :half], images[:, :, half:])
        return np.stack([side.mean(axis=(1, 2, 3)) for side in sides], axis=1).astype(np.float32)


@pytest.fixture
def part(tmp_path: Path) -> Part:
    data = write_tree(tmp_path / "data", {"red": 12, "green": 12})
    config = Config(data=str(data), cache_dir=str(tmp_path / "cache"), decoders=1, image_size=8)
    return load(config).parts["train"]


def frozen(part: Part, extract: Any, *, mirrored: bool) -> FrozenFeatures:
    return FrozenFeatures(part.images, extract, mirrored)


def values(features: FrozenFeatures, rows: np.ndarray, view: int = 0) -> np.ndarray:
    return np.concatenate([found for _, found in features.read(rows, view)])


def test_features_are_computed_once_and_found_again(part: Part) -> None:
    network: Any = Extract()
    features = frozen(part, network, mirrored=True)
    features.prepare(part.rows, "Features")
    asked = network.asked
    plain, mirrored = values(features, part.rows), values(features, part.rows, 1)
    assert plain == pytest.approx(Extract()(part[np.arange(len(part))]), rel=1e-5)
    assert mirrored == pytest.approx(plain[:, ::-1])
    again = frozen(part, network, mirrored=True)
    again.prepare(part.rows, "Features")
    assert network.asked == asked
    assert values(again, part.rows[::-1]).tolist() == plain[::-1].tolist()


def test_what_is_missing_is_computed_and_nothing_else(part: Part) -> None:
    network: Any = Extract()
    frozen(part, network, mirrored=False).prepare(part.rows[:5], "Features")
    features = frozen(part, network, mirrored=False)
    assert features._files[0].done.sum() == 5
    features.prepare(part.rows, "Features")
    assert network.asked == 2


def test_another_network_has_features_of_its_own(part: Part) -> None:
    first: Any = Extract()
    frozen(part, first, mirrored=False).prepare(part.rows, "Features")
    second: Any = Extract("another-network")
    frozen(part, second, mirrored=False).prepare(part.rows, "Features")
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
    features = frozen(part, Extract(), mirrored=False)
    features.prepare(part.rows, "Features")
    assert values(features, part.rows).shape == (len(part), 2)


def test_a_full_disk_ends_the_run_and_leaves_no_features_that_are_none(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kind: a map of a file on a full disk kills the process instead of raising an error."""

    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    features = frozen(part, Extract(), mirrored=False)
    monkeypatch.setattr("training.features.frozen.os.pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        features.prepare(part.rows, "Features")
    assert not frozen(part, Extract(), mirrored=False)._files[0].done.any()
