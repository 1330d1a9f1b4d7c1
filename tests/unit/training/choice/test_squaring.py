"""How images become squares is measured where it matters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.folders import write_tree
from training.choice import squaring
from training.choice.images import shape
from training.config import Config


def striped_panoramas(root: Path) -> Path:
    """Write wide images with stripes in the middle, of one width in each class: narrower than a pixel if stretched."""
    rng = np.random.default_rng(0)
    for name, width in (("narrow", 2), ("wide", 4)):
        (root / name).mkdir(parents=True)
        for number in range(30):
            pixels = rng.integers(0, 60, (64, 512, 3), np.uint8)
            stripes = (np.arange(60) + rng.integers(8)) // width % 2 * int(rng.integers(80, 200))
            pixels[4:60, 226:286] += stripes[None, :, None].astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")
    return root


def test_what_the_network_sees_most_by_is_chosen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    data = striped_panoramas(tmp_path / "data")
    config = Config(data=str(data), cache_dir=str(tmp_path / "cache"), decoders=1, preset="none")
    assert shape(config) == (512, 8)
    chosen = squaring.choose(config, 64, 8)
    assert chosen.resize == chosen.squaring == "crop", caplog.text
    assert caplog.messages[-1] == "chosen: --resize crop"


@pytest.mark.parametrize(("right", "chosen"), [(80, "stretch"), (95, "letterbox")])
def test_images_are_stretched_unless_another_way_is_surely_better(
    right: int, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100 images, one more than 79 is chance if others are right."""
    counts = {"stretch": 79, "letterbox": right, "crop": 10}
    monkeypatch.setattr(squaring, "_loaded", lambda network: dict.fromkeys(counts))

    def answers(settled: Config, images: object, extract: object) -> np.ndarray:
        which = np.arange(100) if settled.resize == "stretch" else np.arange(100)[::-1]
        return (which < counts[settled.resize]).astype(float)

    monkeypatch.setattr(squaring, "_right", answers)
    config = Config(data=str(tmp_path), cache_dir=str(tmp_path / "cache"))
    assert squaring.choose(config, 64, 2).resize == chosen


def test_images_that_are_nearly_square_and_named_ways_are_not_measured(tmp_path: Path) -> None:
    config = Config(data=str(write_tree(tmp_path, {"red": 3, "green": 3})), cache_dir=str(tmp_path / "cache"))
    assert squaring.choose(config, 64, 1.2).resize == "stretch"
    assert squaring.choose(Config(data="x", resize="letterbox"), 64, 8).resize == "letterbox"
    assert config.squaring == "stretch"
