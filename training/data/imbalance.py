"""Measure how unequal the sizes of classes are, and balance them. Pure functions."""

from __future__ import annotations

import numpy as np

_RATIO_THAT_MATTERS = 1.5


def imbalance_ratio(counts: np.ndarray) -> float:
    """Return the size of the largest class divided by that of the smallest; `counts` is (C,) int, all positive."""
    return float(counts.max() / counts.min())


def treatment(choice: str, counts: np.ndarray) -> str:
    """Return `choice`, or for "auto" class weights if the classes are unequal enough to matter, otherwise "none"."""
    if choice != "auto":
        return choice
    return "class-weights" if imbalance_ratio(counts) > _RATIO_THAT_MATTERS else "none"


def class_weights(counts: np.ndarray) -> np.ndarray:
    """Return (C,) float32 weights inversely proportional to `counts`, with mean 1 over all images."""
    weights: np.ndarray = counts.sum() / (len(counts) * counts)
    return weights.astype(np.float32)


def oversampled(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return sample indices in which every class is as frequent as the largest one.

    The samples of a class are repeated equally often, give or take one repetition.
    """
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    most = max(map(len, members))
    repeated = []
    for indices in members:
        whole, rest = divmod(most, len(indices))
        repeated.append(np.concatenate([np.tile(indices, whole), rng.permutation(indices)[:rest]]))
    return np.concatenate(repeated)
