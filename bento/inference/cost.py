"""What a call of the model costs by its number of images: seconds = a * n + b, learned while serving."""

from __future__ import annotations

import math

_NEWEST = 0.1
"""Weight of the newest call in the running mean of calls of about its size."""

_NEAR_FLAT = 0.1
"""A batch is large enough once an image in it costs at most this share over what it would in an endless one."""

_REFIT = 16
"""Calls between two fits of the line: it moves slowly, and small models are called thousands of times a second."""


class CostCurve:
    """A line through the mean costs of calls of 1, 2-3, 4-7, ... images.

    A mean for each size, and not one sum over all calls: hours of lone images would make a sum forget what
    batches cost, and with that, that they are worth making.
    """

    def __init__(self) -> None:
        self._means: dict[int, tuple[float, float]] = {}
        self._updates = 0
        self.line = (0.0, 0.0)
        """The pair (a, b): seconds an image, and fixed seconds a call. Neither is negative."""

    def update(self, images: int, seconds: float) -> None:
        """Take in one measured call of the model."""
        bucket = images.bit_length()
        known = self._means.get(bucket)
        if known is None:
            self._means[bucket] = (images, seconds)
            self.line = self._fit()
            return
        n, s = known
        self._means[bucket] = (n + _NEWEST * (images - n), s + _NEWEST * (seconds - s))
        self._updates += 1
        if self._updates % _REFIT == 0:
            self.line = self._fit()

    def _fit(self) -> tuple[float, float]:
        # Weighed by 1/n: what one image costs matters as much as what a large batch does.
        weight = mean_n = mean_s = 0.0
        for n, s in self._means.values():
            weight, mean_n, mean_s = weight + 1 / n, mean_n + 1, mean_s + s / n
        mean_n, mean_s = mean_n / weight, mean_s / weight
        spread = sum((n - mean_n) ** 2 / n for n, _ in self._means.values())
        if not spread:
            # Calls of one size show no slope: all is taken to be by the image.
            return mean_s / mean_n, 0.0
        a = sum((n - mean_n) * (s - mean_s) / n for n, s in self._means.values()) / spread
        b = mean_s - a * mean_n
        if a < 0:
            return 0.0, mean_s
        return (mean_s / mean_n, 0.0) if b < 0 else (a, b)

    def seconds(self, images: int) -> float:
        """Return what a call with so many images is expected to take."""
        a, b = self.line
        return a * images + b

    def best_size(self, most: int) -> int:
        """Return the least number of images that shares the fixed cost out, at most `most`.

        More would make each wait for the others and gain next to nothing: a model whose cost is all by the
        image is best called with one.
        """
        a, b = self.line
        # a + b/n <= (1 + _NEAR_FLAT) * a
        return most if b >= most * _NEAR_FLAT * a else max(1, math.ceil(b / (_NEAR_FLAT * a) - 1e-6))
