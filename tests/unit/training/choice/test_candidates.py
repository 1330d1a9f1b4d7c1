"""Which networks are worth a comparison."""

from __future__ import annotations

from typing import Any

import pytest

from training.choice import candidates
from training.config import Config
from training.errors import UsageError


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"recipe": "small"}, "--recipe small"),
        ({"width": 16}, "--width is an option of the small network"),
        ({"dense": 0}, "--dense"),
        ({"optimizer": "muon"}, "--optimizer"),
        ({"image_size": 48}, "--image-size 48 is too small"),
    ],
)
def test_options_of_a_network_leave_nothing_to_compare(options: dict[str, Any], words: str) -> None:
    assert words in str(candidates.decided(Config(data="photos", **options), 1))


def test_options_that_any_network_takes_leave_the_choice() -> None:
    config = Config(
        data="photos", image_size=96, epochs=3, seed=5, optimizer="sgd", preset="overhead", label_smoothing=0.1
    )
    assert candidates.decided(config, 1) is None
    assert candidates.sizes(config, 2000) == (96,)
    assert "several workers" in str(candidates.decided(config, 2))


@pytest.mark.parametrize(("side", "expected"), [(8, ()), (32, (128, 160)), (191, (128, 160)), (4000, (128, 224))])
def test_sizes_follow_the_images(side: int, expected: tuple[int, ...]) -> None:
    assert candidates.sizes(Config(data="photos"), side) == expected


def test_a_candidate_is_a_set_of_options_of_a_run() -> None:
    config = Config(data="photos", seed=3, fine_tune_layers=12)
    assert candidates.small(config).config(config) == Config(
        data="photos", seed=3, fine_tune_layers=12, backbone="none", image_size=32
    )
    assert candidates.frozen(160).config(config).fine_tune_layers == 0
    tuned = candidates.tuned(160, config, 7).config(config)
    assert (tuned.fine_tune_layers, tuned.epochs, tuned.image_size) == (12, 7, 160)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_a_budget_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert Config(data="photos", budget=text).budget_seconds == seconds


@pytest.mark.parametrize("text", ["10", "m", "-1m", "10 m", "ten minutes"])
def test_another_text_is_no_budget(text: str) -> None:
    with pytest.raises(UsageError, match="--budget is"):
        Config(data="photos", budget=text)
