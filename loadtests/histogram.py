"""How often each duration occurred, to 1%; small, exact in its counts, and summed over processes."""

from __future__ import annotations

import math
from collections.abc import Iterable

_STEP = math.log(1.01)
_LEAST = 1e-3
"""Milliseconds; what is shorter counts as this."""


class Histogram:
    """Durations in milliseconds, in buckets of which each is 1% longer than the one before."""

    def __init__(self, counts: Iterable[tuple[int, int]] = ()) -> None:
        self._counts: dict[int, int] = dict(counts)

    def add(self, milliseconds: float) -> None:
        """Count one."""
        bucket = round(math.log(max(milliseconds, _LEAST)) / _STEP)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1

    def merge(self, other: Histogram) -> None:
        """Count all of another's."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self._counts.values())

    def percentile(self, share: float) -> float:
        """Return the milliseconds that a share (0..1) of them stays within; 0 where there are none."""
        rank, seen = math.ceil(share * self.total), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return math.exp(bucket * _STEP)
        return 0.0

    def pairs(self) -> list[tuple[int, int]]:
        """Return what `Histogram(pairs)` is made of again."""
        return list(self._counts.items())
