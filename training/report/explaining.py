"""Show where the network looked on some test images. Grad-CAM itself is `imaging.gradcam`."""

from __future__ import annotations

from typing import Any

import numpy as np

from imaging import heatmap
from imaging.gradcam import GradCam, NotExplainable
from training.data.dataset import Part
from training.report import metrics, pictures
from training.report.document import Explanations

_EACH = 4
"""Number of right answers explained, and of wrong ones."""

_SIDE = 160
"""Least width and height of a drawn map, in pixels: at a small image's own size the map would show its blocks."""


def explain(
    model: Any, part: Part, probabilities: np.ndarray, class_names: list[str]
) -> tuple[Explanations, dict[str, bytes]]:
    """Explain the class that `model` gives to a few images.

    Args:
        model: a `keras.Model` whose answers for `part` are `probabilities`, (N, C).
        part: the test images.
        probabilities: (N, C) float.
        class_names: in label order.

    Returns:
        The section `explanations` of metrics.json, and the picture by its name; no picture if `reason` says why.
    """
    import keras

    try:
        cam = GradCam(keras, model)
    except NotExplainable as error:
        return Explanations(reason=str(error)), {}
    shown = chosen(part.labels, probabilities)
    predicted, images = probabilities[shown].argmax(axis=1), part[shown]
    overlays = [
        heatmap.overlay(pixels, cam(pixels, label), _SIDE) for pixels, label in zip(images, predicted, strict=True)
    ]
    confidence = probabilities[shown].max(axis=1)
    drawn = pictures.explanations(images, overlays, part.labels[shown], predicted, confidence, class_names)
    return Explanations(reason=None), {"explanations": drawn}


def chosen(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the indices of the most confident right answers, one per class, then of the most confident mistakes."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right: dict[int, int] = {}
    for i in np.argsort(-confidence, kind="stable"):
        if predicted[i] == labels[i]:
            right.setdefault(int(labels[i]), int(i))
    wrong = metrics.most_confident_mistakes(labels, probabilities, _EACH)
    return np.array([*list(right.values())[:_EACH], *wrong], dtype=np.int64)
