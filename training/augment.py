"""Random rotation, flips, zoom and shift as one affine map and one resampling an image. NumPy and Pillow only."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from PIL import Image


class Augmenter:
    """Draws a new variant of each image; the borders are filled by reflection.

    Args:
        rates: `rotation` in degrees, `horizontal_flip` and `vertical_flip` as probabilities, `zoom` and
            `shift` as fractions; the amount is drawn evenly up to the rate, either way.
        size: width and height of the images in pixels.
    """

    def __init__(self, rates: Mapping[str, float], size: int) -> None:
        self._rates = rates
        self._size = size
        self._margin = _margin(rates, size)
        reflected = np.pad(np.arange(size), self._margin, mode="reflect" if size > 1 else "edge")
        self._rows, self._columns = reflected[:, None], reflected[None, :]

    @property
    def active(self) -> bool:
        """Whether any rate is above zero."""
        return any(rate > 0 for rate in self._rates.values())

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return augmented copies; `images` is (N, size, size, 3) uint8."""
        result = np.empty_like(images)
        wide = images[:, self._rows, self._columns]
        for i, matrix in enumerate(self._matrices(len(images), rng)):
            moved = Image.fromarray(wide[i]).transform(
                (self._size, self._size), Image.Transform.AFFINE, tuple(matrix), Image.Resampling.BICUBIC
            )
            result[i] = np.asarray(moved)
        return result

    def _matrices(self, count: int, rng: np.random.Generator) -> list[list[float]]:
        """Pillow's six numbers for each image: where in the widened source an output pixel comes from."""

        def even(rate: float) -> np.ndarray:
            return rng.uniform(-rate, rate, count)

        rates = self._rates
        angle = np.radians(even(rates["rotation"]))
        scale = 1 + even(rates["zoom"])
        flip_x = np.where(rng.random(count) < rates["horizontal_flip"], -1.0, 1.0)
        flip_y = np.where(rng.random(count) < rates["vertical_flip"], -1.0, 1.0)
        shift_x, shift_y = even(rates["shift"]) * self._size, even(rates["shift"]) * self._size
        a, b = scale * np.cos(angle) * flip_x, -scale * np.sin(angle) * flip_y
        d, e = scale * np.sin(angle) * flip_x, scale * np.cos(angle) * flip_y
        centre, source_centre = self._size / 2, self._size / 2 + self._margin
        c = source_centre + shift_x - (a + b) * centre
        f = source_centre + shift_y - (d + e) * centre
        matrices: list[list[float]] = np.stack([a, b, c, d, e, f], axis=1).tolist()
        return matrices


def _margin(rates: Mapping[str, float], size: int) -> int:
    """How far outside the image a corner can fall, in pixels."""
    angle = math.radians(min(rates["rotation"], 45))
    reach = (math.cos(angle) + math.sin(angle)) * (1 + rates["zoom"]) / 2 - 0.5 + rates["shift"]
    return math.ceil(size * reach) + 1 if reach > 0 else 0
