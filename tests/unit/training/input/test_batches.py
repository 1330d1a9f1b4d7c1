"""Batches: in which epochs an image is mirrored."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.folders import write_tree
from training import environment
from training.config import Config
from training.data import dataset
from training.input.augment import Augmenter
from training.input.pruning import Pruner
from training.recipes import PRESETS

keras: Any = environment.import_keras()
FLIPS = PRESETS["none"] | {"horizontal_flip": 0.5}


@pytest.fixture
def part(tmp_path: Path) -> Any:
    config = Config(data=str(write_tree(tmp_path / "data", {"red": 60, "blue": 60})), image_size=8)
    return dataset.load(replace(config, cache_dir=str(tmp_path / "cache"))).parts["train"]


def seen(batches: Any, part: Any) -> list[tuple[int, bool]]:
    """Return the images of an epoch, in order, and which of them are mirrored."""
    known = {}
    for at, image in enumerate(part.images[part.rows]):
        known[image.tobytes()], known[np.ascontiguousarray(image[:, ::-1]).tobytes()] = (at, False), (at, True)
    assert len(known) == 2 * len(part)
    return [known[image.tobytes()] for index in range(batches.num_batches) for image in batches[index][0]]


def test_each_image_is_mirrored_in_every_other_epoch(part: Any) -> None:
    from training.input.batches import Batches

    batches = Batches(part.images, part.rows, part.labels, 2, 7, seed=0, augmenter=Augmenter(FLIPS, 8))
    epochs = []
    for epoch in range(4):
        batches.start_epoch(epoch)
        epochs.append(dict(seen(batches, part)))
    first, second, third, fourth = epochs
    assert 0.3 < sum(first.values()) / len(part) < 0.7
    assert all(first[image] != second[image] for image in first)
    assert (first, second) == (third, fourth)


def test_a_second_pass_within_an_epoch_shows_the_other_side(part: Any) -> None:
    from training.input.batches import Batches

    pruner = Pruner(0.9, len(part))
    pruner.losses[:] = np.arange(len(part)) >= len(part) * 2 // 3
    shared: dict[str, Any] = {"pruner": pruner, "pruned_epochs": 1, "augmenter": Augmenter(FLIPS, 8)}
    looks = seen(Batches(part.images, part.rows, part.labels, 2, 7, seed=0, **shared), part)
    ways: dict[int, list[bool]] = {}
    for image, mirrored in looks:
        ways.setdefault(image, []).append(mirrored)
    several = [way for way in ways.values() if len(way) > 1]
    assert len(several) > len(part) / 4
    assert all(a != b for way in several for a, b in pairwise(way))


def test_repeated_images_of_small_classes_are_seen_both_ways_in_one_epoch(part: Any) -> None:
    from training.input.batches import Batches

    few = np.flatnonzero((part.labels == 0) | (np.cumsum(part.labels == 1) <= 5))
    rows, labels = part.rows[few], part.labels[few]
    looks = seen(Batches(part.images, rows, labels, 2, 7, seed=0, oversample=True, augmenter=Augmenter(FLIPS, 8)), part)
    ways = [{mirrored for image, mirrored in looks if image == at} for at in few[labels == 1]]
    assert {True, False} in ways


def test_the_shares_of_the_classes_are_those_that_an_epoch_shows(part: Any) -> None:
    from training.input.batches import Batches

    few = np.flatnonzero((part.labels == 0) | (np.cumsum(part.labels == 1) <= 12))
    rows, labels = part.rows[few], part.labels[few]
    assert Batches(part.images, rows, labels, 2, 7, seed=0).class_shares.tolist() == [0.8, 0.2]
    assert Batches(part.images, rows, labels, 2, 7, seed=0, oversample=True).class_shares.tolist() == [0.5, 0.5]
