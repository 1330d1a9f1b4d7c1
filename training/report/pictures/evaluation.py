"""Draw all pictures of one evaluation."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from training.report import metrics
from training.report.figures import Evaluation
from training.report.pictures.confusion import confusion_matrix
from training.report.pictures.images import mistakes
from training.report.pictures.reliability import reliability_diagram
from training.report.pictures.roc import roc_curves

_SHOWN_MISTAKES = 24


class Images(Protocol):
    """(N, S, S, 3) uint8 images, in memory or not, from which an index array selects some."""

    def __getitem__(self, indices: np.ndarray, /) -> np.ndarray: ...


def of_evaluation(
    test: Evaluation,
    labels: np.ndarray,
    probabilities: np.ndarray,
    images: Images,
    class_names: list[str],
) -> dict[str, bytes]:
    """Draw the pictures of an evaluation. Return PNG by the names that the page uses.

    Args:
        test: the result of `metrics.evaluate` for these labels and probabilities.
        labels: (N,) int.
        probabilities: (N, C) float.
        images: the N images; only the mistakes shown are read.
        class_names: in label order.
    """
    drawn = {
        "confusion_matrix": confusion_matrix(test.confusion_matrix, class_names),
        "reliability": reliability_diagram(metrics.reliability_bins(labels, probabilities), test.ece),
    }
    if test.auc.macro is not None:
        curves = metrics.roc_curves(labels, probabilities, class_names)
        areas = {name: test.per_class[name].auc for name in curves}
        auc = {name: area for name, area in areas.items() if area is not None}
        drawn["roc_curves"] = roc_curves(curves, auc, class_names)
    wrong = metrics.most_confident_mistakes(labels, probabilities, _SHOWN_MISTAKES)
    if len(wrong):
        predicted, confidence = probabilities[wrong].argmax(axis=1), probabilities[wrong].max(axis=1)
        drawn["mistakes"] = mistakes(images[wrong], labels[wrong], predicted, confidence, class_names)
    return drawn
