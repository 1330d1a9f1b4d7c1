"""Count durations in buckets of 1%. A histogram is small, its counts are exact, and those of processes add up."""

from __future__ import annotations

import math
from collections.abc import Iterable

_STEP = math.log(1.01)
_LEAST = 1e-3
"""Milliseconds; shorter durations count as this."""


class Histogram:
    """Durations in milliseconds. Each bucket is 1% longer than the one before."""

    def __init__(self, counts: Iterable[tuple[int, int]] = ()) -> None:
        self._counts: dict[int, int] = dict(counts)

    def add(self, milliseconds: float) -> None:
        """Count one duration."""
        bucket = round(math.log(max(milliseconds, _LEAST)) / _STEP)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count

    @property
    def total(self) -> int:
        """Number of durations counted."""
        return sum(self._counts.values())

    def percentile(self, share: float) -> float:
        """Return the percentile in milliseconds for a share in 0..1; 0 if nothing was counted."""
        rank, seen = math.ceil(share * self.total), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return math.exp(bucket * _STEP)
        return 0.0

    def pairs(self) -> list[tuple[int, int]]:
        """Return pairs from which `Histogram(pairs)` makes an equal histogram."""
        return list(self._counts.items())
