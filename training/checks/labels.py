"""Find wrong labels by confident learning: labels that held-out predictions contradict. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SUREST = 0.1
_FEWEST = 20
_MARGIN = 1.25
"""Ratio of listed labels to the estimated number of wrong ones. A person checks the list, and a missed wrong label
costs more than a look."""


@dataclass(frozen=True)
class WrongLabels:
    """The result of `confident_learning`: samples, the most likely wrong first, and their suggested labels."""

    samples: np.ndarray
    suggested: np.ndarray
    joint: np.ndarray
    """(C, C) int: the number of images by given label (rows) and confidently predicted label (columns)."""

    @property
    def noise(self) -> float:
        """The estimated fraction of wrong labels."""
        return float(1 - np.trace(self.joint) / max(1, self.joint.sum()))


def thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the probability above which a prediction of each class is confident, (C,).

    Northcutt et al. use the mean over the images with that label. This counts the network's own errors as wrong labels:
    on CIFAR-10, a network with 82% accuracy finds twice the true number. Here the threshold is that of the most
    confident tenth (in small classes the 20 most confident, but at most half). Hardly any of these are errors, and
    wrong labels are as frequent among them as elsewhere.
    """
    return np.array([_threshold(probabilities[labels == label, label]) for label in range(probabilities.shape[1])])


def _threshold(own: np.ndarray) -> float:
    if not len(own):
        return np.inf  # no prediction of a class without images is confident
    share = min(0.5, max(_SUREST, _FEWEST / len(own)))
    return float(np.quantile(own, 1 - share))


def confident_joint(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count images by given label and by the most probable label above its threshold, (C, C) int.

    Source: Northcutt, Jiang, Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels. JAIR 70, 2021.
    """
    classes = probabilities.shape[1]
    believed = np.where(probabilities >= thresholds(probabilities, labels), probabilities, -1.0)
    sure = believed.max(axis=1) >= 0
    cells = labels[sure] * classes + believed[sure].argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def confident_learning(probabilities: np.ndarray, labels: np.ndarray) -> WrongLabels:
    """Find the images whose label is probably wrong.

    Their number is the fraction of the confident joint that is off its diagonal, plus a quarter. The images chosen are
    those whose prediction supports the given label least (self-confidence), relative to the median of that label.

    Args:
        probabilities: (N, C), each predicted by a model that wasn't trained on that image.
        labels: (N,) int, as given.
    """
    joint = confident_joint(probabilities, labels)
    noise = 1 - np.trace(joint) / max(1, joint.sum())
    usual = np.array(
        [np.median(probabilities[labels == label, label]) for label in range(len(joint)) if (labels == label).any()]
    )
    numbers = np.searchsorted(np.unique(labels), labels)
    support = probabilities[np.arange(len(labels)), labels] / np.maximum(usual, 1e-9)[numbers]
    best = probabilities.argmax(axis=1)
    order = np.argsort(support, kind="stable")[: round(_MARGIN * noise * len(labels))]
    wrong = order[best[order] != labels[order]]
    return WrongLabels(wrong, best[wrong], joint)
