"""Measure what novelty and sets of classes do on the test images. Fits nothing."""

from __future__ import annotations

import numpy as np

from model_format import limits
from model_format.limits import KNOWN
from training.report.figures import Limits, Separation, SetFigures

COVERAGES = (0.8, 0.9, 0.95, 0.99)
"""Promised shares of sets that hold the true class, which the report lists."""

TILES = 4
"""Tiles in a row of an image that is made to be unknown."""


def describe(
    known: limits.Limits,
    labels: np.ndarray,
    probabilities: np.ndarray,
    energies: list[float],
    pixels: list[float],
    tiles: list[float],
) -> Limits:
    """Return the section `limits` of metrics.json.

    Args:
        known: measured on other images.
        labels: (N,) int, of the test images.
        probabilities: (N, C) float.
        energies: N, of the test images.
        pixels, tiles: energies of the test images with their pixels, or their tiles, in random order.
    """
    novelty = np.array([known.novelty(energy) for energy in energies])
    return Limits(
        reason=None,
        images=known.images,
        unknown=float((novelty >= KNOWN).mean()),
        separation=Separation(_auroc(energies, pixels), _auroc(energies, tiles)),
        sets=[_sets(known, labels, probabilities, promised) for promised in COVERAGES],
    )


def _auroc(known: list[float], unknown: list[float]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score([0] * len(known) + [1] * len(unknown), known + unknown))


def _sets(known: limits.Limits, labels: np.ndarray, probabilities: np.ndarray, promised: float) -> SetFigures:
    chosen = [known.members(row, round(promised * limits.STEPS)) for row in probabilities.tolist()]
    sizes = np.array([len(members) for members in chosen])
    held = [label in members for label, members in zip(labels.tolist(), chosen, strict=True)]
    return SetFigures(promised, float(np.mean(held)), float(sizes.mean()), float((sizes == 1).mean()))
