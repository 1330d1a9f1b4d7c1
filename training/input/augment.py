"""Random rotation, flips, zoom, shift and hidden squares for uint8 images. NumPy and Pillow only."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from PIL import Image

_RESAMPLED = 0.5
"""Fraction of the images that are rotated and zoomed. The others are flipped and shifted by whole pixels. That costs
almost nothing, and the network sees images as sharp as those it will classify."""


class Augmenter:
    """Random variants of images. Borders are filled by reflection.

    Args:
        rates: `rotation` in degrees, `horizontal_flip` and `vertical_flip` as probabilities, `zoom` and
            `shift` as fractions; amounts are drawn uniformly up to the rate, either way. `cutout` is the side of a
            square, as a fraction of the image's, that is filled with the image's mean colour: the network can't
            rely on one part of an image alone (DeVries & Taylor, 2017).
        size: width and height of the images in pixels.
    """

    def __init__(self, rates: Mapping[str, float], size: int) -> None:
        self._rates = rates
        self._size = size
        self._margin = _margin(rates, size)
        self._cut = round(rates["cutout"] * size)

    @property
    def active(self) -> bool:
        """Whether any rate is above zero."""
        return any(rate > 0 for rate in self._rates.values())

    @property
    def flips_evenly(self) -> bool:
        """Whether half of the images are mirrored left to right. Then the caller can choose which."""
        return self._rates["horizontal_flip"] == 0.5

    def __call__(
        self,
        images: np.ndarray,
        rng: np.random.Generator,
        first: int = 0,
        whole: int | None = None,
        mirrored: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return augmented copies.

        Args:
            images: (N, size, size, 3) uint8, the images from `first` on of a batch of `whole` images. They are changed
                as they would be in the whole batch.
            rng: the source of randomness.
            first, whole: see `images`; by default the images are a whole batch.
            mirrored: (N,) bool, which images to flip left to right; random by default.
        """
        count, rates = whole or len(images), self._rates

        def even(rate: float) -> np.ndarray:
            return rng.uniform(-rate, rate, count)

        flip_x = rng.random(count) < rates["horizontal_flip"]
        if mirrored is not None:
            flip_x[first : first + len(images)] = mirrored
        flip_y = rng.random(count) < rates["vertical_flip"]
        shift = np.stack([even(rates["shift"]), even(rates["shift"])]) * self._size
        angle, scale = np.radians(even(rates["rotation"])), 1 + even(rates["zoom"])
        resampled = rng.random(count) < (_RESAMPLED if rates["rotation"] or rates["zoom"] else 0)

        border = (self._margin, self._margin)
        wide = np.pad(images, ((0, 0), border, border, (0, 0)), mode="reflect" if self._size > 1 else "edge")
        matrices = self._matrices(angle, scale, shift, flip_x, flip_y)
        corners = self._margin + np.rint(shift).astype(int)
        result = np.empty_like(images)
        for at in range(len(images)):
            i = first + at
            if resampled[i]:
                result[at] = self._resample(wide[at], matrices[:, i])
            else:
                x, y = corners[:, i]
                window = wide[at, y : y + self._size, x : x + self._size]
                result[at] = window[:: -1 if flip_y[i] else 1, :: -1 if flip_x[i] else 1]
        if self._cut:
            places = rng.integers(0, self._size - self._cut, (2, count), endpoint=True)
            self._hide(result, places[:, first : first + len(images)])
        return result

    def _hide(self, images: np.ndarray, places: np.ndarray) -> None:
        colours = images.mean(axis=(1, 2)).round()
        for image, colour, x, y in zip(images, colours, *places, strict=True):
            image[y : y + self._cut, x : x + self._cut] = colour

    def _resample(self, wide: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        # Bilinear resampling blurs, and the network would then see sharp images as unusual.
        size = (self._size, self._size)
        coefficients = tuple(matrix.tolist())
        image = Image.fromarray(wide)
        return np.asarray(image.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC))

    def _matrices(
        self, angle: np.ndarray, scale: np.ndarray, shift: np.ndarray, flip_x: np.ndarray, flip_y: np.ndarray
    ) -> np.ndarray:
        """Return Pillow's six coefficients for each image, (6, N): from an output pixel to one of the padded image."""
        sign_x, sign_y = np.where(flip_x, -1.0, 1.0), np.where(flip_y, -1.0, 1.0)
        a, b = scale * np.cos(angle) * sign_x, -scale * np.sin(angle) * sign_y
        d, e = scale * np.sin(angle) * sign_x, scale * np.cos(angle) * sign_y
        centre, source_centre = self._size / 2, self._size / 2 + self._margin
        c = source_centre + shift[0] - (a + b) * centre
        f = source_centre + shift[1] - (d + e) * centre
        return np.stack([a, b, c, d, e, f])


def _margin(rates: Mapping[str, float], size: int) -> int:
    """Return how far outside the image a corner can fall, in pixels."""
    angle = math.radians(min(rates["rotation"], 45))
    reach = (math.cos(angle) + math.sin(angle)) * (1 + rates["zoom"]) / 2 - 0.5 + rates["shift"]
    return math.ceil(size * reach) + 1 if reach > 0 else 0
