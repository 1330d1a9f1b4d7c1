"""The features of an image that are compared between training and serving to detect drift, and their bins."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

BINS: dict[str, tuple[float, ...]] = {
    "confidence": tuple(i / 10 for i in range(1, 11)),
    "brightness": tuple(255 * i / 10 for i in range(1, 11)),
    "bytes": (*(float(2**i) for i in range(10, 24)), float("inf")),
}
"""Upper bound of each bin, by feature: the probability of the predicted class, the mean of all pixels (0..255) and the
size of the encoded image in bytes."""

_GRID = 32
"""Pixels per side from which the brightness is computed: enough for a mean, and little work at any image size."""


def brightness(pixels: np.ndarray) -> float:
    """Return the mean of a grid of pixels, 0..255.

    Args:
        pixels: (S, S, 3) uint8, as a model takes them.
    """
    step = max(1, pixels.shape[0] // _GRID)
    grid = pixels[::step, ::step]
    return int(np.add.reduce(grid, axis=None, dtype=np.uint32)) / grid.size


def bin_of(feature: str, value: float) -> int:
    """Return the index of the bin that a value falls into."""
    return min(bisect_left(BINS[feature], value), len(BINS[feature]) - 1)


def bin_names(feature: str) -> list[str]:
    """Return the bins' upper bounds as text."""
    return [f"{bound:g}" for bound in BINS[feature]]
