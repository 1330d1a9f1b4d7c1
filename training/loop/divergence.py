"""Decide from the course of a training whether it has diverged, though its loss is finite. Pure functions."""

from __future__ import annotations

import math

import numpy as np

_MARGIN = 5.0
"""How far above the loss of a guess: each right class gets 1/150 of a guess's probability."""
_LEAST_EPOCHS = 5
_PART = 4


def has_diverged(losses: list[float], accuracies: list[float], shares: np.ndarray, epochs: int) -> bool:
    """Return whether the training has long been worse than a guess, and isn't getting better.

    It has to be so in each of the last epochs, a quarter of all and at least 5, because the first ones at a high
    learning rate may be bad. The loss alone doesn't decide: it includes the penalty on the weights, which batch
    normalisation lets grow without harm.

    Args:
        losses: of the training images, for each epoch of the phase so far.
        accuracies: likewise.
        shares: (C,) fraction of the training images in each class.
        epochs: how many the phase has at most.
    """
    long = max(_LEAST_EPOCHS, epochs // _PART)
    if len(losses) < long:
        return False
    recent = losses[-long:]
    guess, most = math.log(len(shares)), float(shares.max())
    no_better = min(2 * most, most + (1 - most) / 4)
    return min(recent) > guess + _MARGIN and max(accuracies[-long:]) <= no_better and recent[-1] > recent[0] / 2
