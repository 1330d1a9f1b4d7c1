"""Wrong labels by confident learning: which given labels held-out predictions contradict. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SUREST = 0.1
_FEWEST = 20
_MARGIN = 1.25
"""What is listed of what is estimated: a person reads the list, and a wrong label missed costs more than a look."""


@dataclass(frozen=True)
class WrongLabels:
    """What `confident_learning` found: samples, the likeliest wrong first, and what they seem to be."""

    samples: np.ndarray
    suggested: np.ndarray
    joint: np.ndarray
    """(C, C) int: images by given (rows) and, where predictions are surest, true label (columns)."""

    @property
    def noise(self) -> float:
        """The estimated share of wrong labels."""
        return float(1 - np.trace(self.joint) / max(1, self.joint.sum()))


def thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return for each class how probable it must be to be believed, (C,).

    Northcutt et al. take the mean over the images labelled so, which counts a network's own mistakes as wrong
    labels: on CIFAR-10 a network that is right on 82 % finds twice as many as there are. Of the surest tenth (of
    small classes: the surest 20, at most half) hardly any is a mistake, and wrong labels are as frequent there as
    elsewhere.
    """
    return np.array([_threshold(probabilities[labels == label, label]) for label in range(probabilities.shape[1])])


def _threshold(own: np.ndarray) -> float:
    if not len(own):
        return np.inf  # a class without images is never believed
    share = min(0.5, max(_SUREST, _FEWEST / len(own)))
    return float(np.quantile(own, 1 - share))


def confident_joint(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count images by given label and by the most probable of the labels above their thresholds, (C, C) int.

    Source: Northcutt, Jiang, Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels. JAIR 70, 2021.
    """
    classes = probabilities.shape[1]
    believed = np.where(probabilities >= thresholds(probabilities, labels), probabilities, -1.0)
    sure = believed.max(axis=1) >= 0
    cells = labels[sure] * classes + believed[sure].argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def confident_learning(probabilities: np.ndarray, labels: np.ndarray) -> WrongLabels:
    """Find the images whose label is probably wrong.

    How many there are is the share that the confident joint has off its diagonal, and a quarter more. Which ones: those
    whose given label the prediction supports least (self-confidence), measured by the median of that label's images.

    Args:
        probabilities: (N, C), each predicted by a model that has not seen that image.
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
