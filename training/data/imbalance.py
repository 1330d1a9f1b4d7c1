"""Measure how unequal the sizes of classes are, and balance them. Pure functions."""

from __future__ import annotations

import numpy as np

LOGIT_ADJUSTMENT = "logit-adjustment"
_RATIO_THAT_MATTERS = 1.5
_MOST_WEIGHT = 20.0


def imbalance_ratio(counts: np.ndarray) -> float:
    """Return the size of the largest class divided by that of the smallest; `counts` is (C,) int, all positive."""
    return float(counts.max() / counts.min())


def treatment(choice: str, counts: np.ndarray) -> str:
    """Return `choice`, or for "auto" logit adjustment if the classes are unequal enough to matter, otherwise "none"."""
    if choice != "auto":
        return choice
    return LOGIT_ADJUSTMENT if imbalance_ratio(counts) > _RATIO_THAT_MATTERS else "none"


def class_weights(counts: np.ndarray) -> np.ndarray:
    """Return (C,) float32 weights that are larger for smaller classes, with mean 1 over all images.

    They are inverse to the effective numbers of images (Cui et al., Class-balanced loss based on effective number of
    samples, CVPR 2019), and at most 20 times the smallest one: a single image must not outweigh a whole class.
    """
    beta = 0.999
    weights = (1 - beta) / (1 - beta**counts)
    weights = np.minimum(weights, _MOST_WEIGHT * weights.min())
    balanced: np.ndarray = weights * counts.sum() / (weights * counts).sum()
    return balanced.astype(np.float32)


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


def log_frequencies(counts: np.ndarray) -> np.ndarray:
    """Return the logarithm of each class's share of the images, (C,); a class without any has half an image."""
    shares: np.ndarray = np.log(np.maximum(counts, 0.5) / counts.sum())
    return shares
