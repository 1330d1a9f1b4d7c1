"""Choose and write the golden images: a deployed model must still classify them the same way."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from model_format import golden
from model_format.golden import GoldenImage


def write(
    folder: Path, images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, class_names: list[str]
) -> None:
    """Write the images as PNG, with the class and the confidence that the model gives each.

    Args:
        folder: created if it is missing.
        images: (N, S, S, 3) uint8, as `choose` picked them.
        labels: (N,) int, which the model predicts.
        probabilities: (N, C), by the fp32 ONNX form.
        class_names: in label order.
    """
    chosen = [
        GoldenImage(f"{i:02}.png", _png(image), class_names[label], float(row[label]))
        for i, (image, label, row) in enumerate(zip(images, labels, probabilities, strict=True))
    ]
    golden.write(folder, chosen)


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def choose(labels: np.ndarray, forms: list[np.ndarray], most: int = 10) -> np.ndarray:
    """Return the index of one test image for each of the first `most` classes.

    Every form must classify the image correctly, so a class can have none. Of several such images, the one with
    the highest confidence is chosen, where the confidence is that of the least confident form.

    Args:
        labels: (N,) int.
        forms: (N, C) probabilities by each form of the model.
        most: classes at most.
    """
    confidence = np.min([form[np.arange(len(labels)), labels] for form in forms], axis=0)
    right = np.all([form.argmax(axis=1) == labels for form in forms], axis=0)
    chosen = []
    for label in np.unique(labels):
        candidates = np.flatnonzero(right & (labels == label))
        if len(candidates):
            chosen.append(candidates[confidence[candidates].argmax()])
    return np.array(chosen[:most], dtype=np.int64)
