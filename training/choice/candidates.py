"""The networks that are worth a comparison for a folder of images."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from training.config import NONE, Config, flag
from training.errors import ModelError
from training.fields import Fields
from training.network import efficientnet_lite

SMALL = "small network"
PRETRAINED = "efficientnet-lite0"
_SIZES = {"small": (128, 160), "large": (128, 224)}
"""Pixels to try with a pretrained network, for images below and above `_LARGE`. It gains by enlarged images too."""
_LARGE = 192
_LEAST_SIDE = 16
"""Of smaller images a pretrained network sees nothing but blur."""
_LEAST_SIZE = 64


@dataclass(frozen=True)
class Candidate:
    """A network and how it is trained: options that differ from those of the run."""

    name: str
    options: dict[str, Any] = field(hash=False)

    def config(self, config: Config) -> Config:
        """Return the options of a run with this candidate."""
        return replace(config, **self.options)


def small(config: Config) -> Candidate:
    """Return the small network, trained from scratch."""
    return Candidate(SMALL, {"backbone": NONE, "image_size": config.image_size or 32})


def frozen(size: int) -> Candidate:
    """Return the pretrained network of which the last layer alone is fitted, for images of `size` pixels."""
    options = {"backbone": PRETRAINED, "image_size": size, "fine_tune_layers": 0}
    return Candidate(f"{PRETRAINED} at {size} px, frozen", options)


def tuned(size: int, config: Config, epochs: int | None) -> Candidate:
    """Return the pretrained network of which the last layers are trained, for at most `epochs`."""
    options = {
        "backbone": PRETRAINED,
        "image_size": size,
        "fine_tune_layers": config.fine_tune_layers,
        "epochs": epochs,
    }
    return Candidate(f"{PRETRAINED} at {size} px, fine-tuned", options)


def decided(config: Config, workers: int) -> str | None:
    """Return why the options leave nothing to compare, in words; None if they do."""
    if workers > 1:
        return "several workers train the network that --backbone names"
    if config.recipe != NONE:
        return f"--recipe {config.recipe} names the network"
    shaping = [f for f in fields(Fields) if f.metadata["group"] == "network"]
    changed = [f.name for f in shaping if getattr(config, f.name) != f.default]
    if config.optimizer == "muon":
        changed.append("optimizer")
    if changed:
        return f"{flag(changed[0])} is an option of the small network"
    if config.image_size is not None and config.image_size < _LEAST_SIZE:
        return f"--image-size {config.image_size} is too small for a pretrained network"
    try:
        efficientnet_lite.file(PRETRAINED)
    except ModelError as error:
        return str(error)
    return None


def sizes(config: Config, side: int) -> tuple[int, ...]:
    """Return the sizes to try with a pretrained network, the cheapest first; none if the images are too small.

    Args:
        config: may name the size.
        side: the median of the longer sides of the images, in pixels.
    """
    if side < _LEAST_SIDE:
        return ()
    if config.image_size is not None:
        return (config.image_size,)
    return _SIZES["large" if side >= _LARGE else "small"]
