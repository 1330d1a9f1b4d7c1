"""Measure how well a property of files (the format, a prefix of the name) predicts their class. Pure functions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

_FOLDS = 2
TELLING = 0.5
"""A property is reported if it predicts more than this fraction of the labels that guessing gets wrong."""


def accuracy(values: Sequence[Hashable], labels: np.ndarray, seed: int) -> tuple[float, float]:
    """Predict each label as the most frequent one of other files with the same value, by two-fold cross-validation.

    Args:
        values: N values; unique values predict nothing.
        labels: (N,) int.
        seed: of the folds.

    Returns:
        The accuracy, and that of always guessing the largest class.
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
        by_count = np.argsort(counts, kind="stable")  # assignment in this order leaves the most frequent label
        guess[cells[by_count] // classes] = cells[by_count] % classes
        right += int((guess[codes[~seen]] == labels[~seen]).sum())
    return right / len(labels), float(np.bincount(labels).max() / len(labels))


def predicts(measured: tuple[float, float]) -> bool:
    """Return whether the result of `accuracy` is far better than guessing."""
    right, guessing = measured
    return right - guessing > TELLING * (1 - guessing)
