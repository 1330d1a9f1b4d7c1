"""Mixup and CutMix: what is seen of each image is what the label says."""

from __future__ import annotations

import numpy as np
import pytest

from training.input.mixing import Mixer


def batch(size: int = 16, count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Image i is grey of value 30 * i; its class is i."""
    images = np.empty((count, size, size, 3), np.uint8)
    images[:] = 30 * np.arange(count, dtype=np.uint8)[:, None, None, None]
    return images, np.eye(count, dtype=np.float32)


@pytest.mark.parametrize("rates", [(0.4, 0), (0, 1.0), (0.4, 1.0)])
def test_the_labels_share_is_what_is_seen(rates: tuple[float, float]) -> None:
    images, targets = batch()
    for seed in range(30):
        mixed, labels = Mixer(*rates)(images, targets, np.random.default_rng(seed))
        assert mixed.dtype == np.uint8
        assert mixed.shape == images.shape
        assert np.allclose(labels.sum(axis=1), 1)
        # The mean grey is the labels' mean of the classes' greys: to half a level, by which pixels are rounded.
        assert np.allclose(mixed.mean(axis=(1, 2, 3)), labels @ (30 * np.arange(8)), atol=0.51)


def test_cutmix_pastes_a_box_and_mixup_blends() -> None:
    images, targets = batch()
    pasted, _ = Mixer(0, 1.0)(images, targets, np.random.default_rng(1))
    assert all(len(np.unique(image)) <= 2 for image in pasted)
    assert any(len(np.unique(image)) == 2 for image in pasted)
    blended, _ = Mixer(5.0, 0)(images, targets, np.random.default_rng(1))
    assert all(len(np.unique(image)) == 1 for image in blended)
    assert not np.array_equal(blended, images)


def test_the_same_seed_mixes_the_same_and_the_input_is_left_alone() -> None:
    images, targets = batch()
    before = images.copy()
    first, second = (Mixer(0.2, 1.0)(images, targets, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert np.array_equal(images, before)


def test_without_a_rate_it_is_off() -> None:
    assert not Mixer(0, 0).active
    assert Mixer(0.1, 0).active
