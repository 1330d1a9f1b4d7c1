"""How well one property of a file (its format, the prefix of its name) tells its class. Pure functions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

_FOLDS = 2
TELLING = 0.5
"""The share of all that guessing gets wrong which the property must get right to be pointed out."""


def accuracy(values: Sequence[Hashable], labels: np.ndarray, seed: int) -> tuple[float, float]:
    """Guess each label as the most frequent one among other files with the same value, by two-fold cross-validation.

    Args:
        values: N values; those that are unique predict nothing.
        labels: (N,) int.
        seed: for the folds.

    Returns:
        The share guessed right, and that of always guessing the largest class.
    """
    numbers: dict[Hashable, int] = {}
    codes = np.array([numbers.setdefault(value, len(numbers)) for value in values])
    classes = int(labels.max()) + 1
    fold = np.random.default_rng(seed).permutation(len(labels)) % _FOLDS
    right = 0
    for held_out in range(_FOLDS):
        seen = fold != held_out
        cells, counts = np.unique(codes[seen] * classes + labels[seen], return_counts=True)
        guess = np.full(len(numbers), np.bincount(labels[seen]).argmax() if seen.any() else 0)
        by_count = np.argsort(counts, kind="stable")  # the most frequent is written last
        guess[cells[by_count] // classes] = cells[by_count] % classes
        right += int((guess[codes[~seen]] == labels[~seen]).sum())
    return right / len(labels), float(np.bincount(labels).max() / len(labels))


def tells(measured: tuple[float, float]) -> bool:
    """Whether what `accuracy` returned is far better than guessing."""
    right, guessing = measured
    return right - guessing > TELLING * (1 - guessing)
