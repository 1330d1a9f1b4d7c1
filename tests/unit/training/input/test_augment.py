from __future__ import annotations

import numpy as np
import pytest

from training.input.augment import Augmenter
from training.recipes import PRESETS, RATES

NONE = dict.fromkeys(RATES, 0.0)


def images(count: int = 4, size: int = 16) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def augment(rates: dict[str, float], source: np.ndarray, seed: int = 0) -> np.ndarray:
    return Augmenter(NONE | rates, source.shape[1])(source, np.random.default_rng(seed))


def test_rates_of_zero_change_no_pixel() -> None:
    assert (augment({}, images()) == images()).all()
    assert not Augmenter(NONE, 16).active


def test_a_flip_with_probability_one_is_exact() -> None:
    assert (augment({"horizontal_flip": 1}, images()) == images()[:, :, ::-1]).all()
    assert (augment({"vertical_flip": 1}, images()) == images()[:, ::-1]).all()


def test_half_of_many_images_are_flipped_at_a_rate_of_one_half() -> None:
    source = images(400, 4)
    flipped = (augment({"horizontal_flip": 0.5}, source) != source).any(axis=(1, 2, 3)).sum()
    assert 150 < flipped < 250


@pytest.mark.parametrize("rate", ["rotation", "zoom", "shift"])
def test_each_rate_moves_pixels_and_keeps_shape_and_type(rate: str) -> None:
    moved = augment({rate: 30 if rate == "rotation" else 0.3}, images())
    assert moved.shape == images().shape
    assert moved.dtype == np.uint8
    assert (moved != images()).any()


@pytest.mark.parametrize("preset", PRESETS)
def test_borders_are_filled_from_the_image_itself(preset: str) -> None:
    source = np.full((50, 12, 12, 3), 137, np.uint8)
    assert (augment(PRESETS[preset], source) == 137).all()


def test_a_shift_moves_by_at_most_the_rate() -> None:
    source = np.zeros((200, 21, 21, 3), np.uint8)
    source[:, 10, 10] = 255
    moved = augment({"shift": 0.2}, source).sum(axis=-1)
    rows, columns = np.unravel_index(moved.reshape(200, -1).argmax(axis=1), (21, 21))
    assert np.abs(rows - 10).max() <= 5
    assert np.abs(columns - 10).max() <= 5
    assert np.abs(rows - 10).max() >= 3


def test_a_cutout_fills_one_square_at_any_position_with_the_mean_colour() -> None:
    source = np.tile(np.array([10, 20, 30], np.uint8), (300, 12, 12, 1))
    source[:, :, ::2] = [30, 40, 50]
    hidden = (augment({"cutout": 0.3}, source) == [20, 30, 40]).all(axis=-1)
    assert (hidden.sum(axis=(1, 2)) == 4 * 4).all()
    across, down = hidden.any(axis=1), hidden.any(axis=2)
    assert (across.sum(axis=1) == 4).all()
    assert (down.sum(axis=1) == 4).all()
    for shown in (across, down):
        assert {*shown.argmax(axis=1)} == set(range(9))


def test_a_cutout_does_not_change_the_other_random_numbers() -> None:
    plain, hidden = augment(PRESETS["photo"], images()), augment(PRESETS["photo"] | {"cutout": 0.25}, images())
    changed = (plain != hidden).any(axis=-1)
    assert (changed.sum(axis=(1, 2)) <= 16).all()
    assert changed.any()


def test_the_same_seed_gives_the_same_pixels() -> None:
    assert (augment(PRESETS["photo"], images(), 5) == augment(PRESETS["photo"], images(), 5)).all()
    assert (augment(PRESETS["photo"], images(), 5) != augment(PRESETS["photo"], images(), 6)).any()
