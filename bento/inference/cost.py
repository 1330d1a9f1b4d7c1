"""Learn the cost of a model call from its number of images n while serving: seconds = a * n + b."""

from __future__ import annotations

import math

_NEWEST = 0.1
"""Weight of the newest call in the running mean of calls of a similar size."""

_NEAR_FLAT = 0.1
"""A batch is large enough once an image in it costs at most this fraction more than in an infinite batch."""

_REFIT = 16
"""Calls between two fits of the line, which moves slowly. Small models get thousands of calls per second."""


class CostCurve:
    """A line through the mean costs of calls of 1, 2-3, 4-7, ... images.

    Each size has its own mean. A sum over all calls would forget the cost of batches after hours of lone images, and
    then no batch would be made.
    """

    def __init__(self) -> None:
        self._means: dict[int, tuple[float, float]] = {}
        self._updates = 0
        self.line = (0.0, 0.0)
        """The pair (a, b): seconds per image and fixed seconds per call. Neither is negative."""

    def update(self, images: int, seconds: float) -> None:
        """Learn from one measured call of the model."""
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
        # Weighted by 1/n, so that the cost of one image matters as much as that of a large batch.
        weight = mean_n = mean_s = 0.0
        for n, s in self._means.values():
            weight, mean_n, mean_s = weight + 1 / n, mean_n + 1, mean_s + s / n
        mean_n, mean_s = mean_n / weight, mean_s / weight
        spread = sum((n - mean_n) ** 2 / n for n, _ in self._means.values())
        if not spread:
            # Calls of one size have no slope, so all cost is attributed to the images.
            return mean_s / mean_n, 0.0
        a = sum((n - mean_n) * (s - mean_s) / n for n, s in self._means.values()) / spread
        b = mean_s - a * mean_n
        if a < 0:
            return 0.0, mean_s
        return (mean_s / mean_n, 0.0) if b < 0 else (a, b)

    def seconds(self, images: int) -> float:
        """Return the expected seconds of a call with this number of images."""
        a, b = self.line
        return a * images + b

    def best_size(self, most: int) -> int:
        """Return the smallest number of images, at most `most`, that makes the fixed cost per image negligible.

        With more images, each waits for the others and gains almost nothing. Without a fixed cost, the best size is 1.
        """
        a, b = self.line
        # a + b/n <= (1 + _NEAR_FLAT) * a
        return most if b >= most * _NEAR_FLAT * a else max(1, math.ceil(b / (_NEAR_FLAT * a) - 1e-6))
