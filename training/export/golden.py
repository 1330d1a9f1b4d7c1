"""Choose the golden images: what a deployed model must still classify the same way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image


def write(
    folder: Path, images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, class_names: list[str]
) -> None:
    """Write PNG files and `golden.json` with the class and confidence that the model gives each.

    Args:
        folder: made if it is missing.
        images: (N, S, S, 3) uint8, as `choose` picked them.
        labels: (N,) int.
        probabilities: (N, C), by the fp32 ONNX form.
        class_names: in label order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for i, (image, label, row) in enumerate(zip(images, labels, probabilities, strict=True)):
        name = f"{i:02}.png"
        Image.fromarray(image).save(folder / name)
        entries.append({"file": name, "class": class_names[label], "confidence": float(row[label])})
    (folder / "golden.json").write_text(json.dumps(entries, ensure_ascii=False, indent=1), encoding="utf-8")


def choose(labels: np.ndarray, forms: list[np.ndarray], most: int = 10) -> np.ndarray:
    """Return the index of one test image for each of the first `most` classes.

    It is the one that the least sure of the model's `forms`, each (N, C) probabilities, is surest of;
    a class that some form never gets right has none.
    """
    confidence = np.min([form[np.arange(len(labels)), labels] for form in forms], axis=0)
    right = np.all([form.argmax(axis=1) == labels for form in forms], axis=0)
    chosen = []
    for label in np.unique(labels):
        candidates = np.flatnonzero(right & (labels == label))
        if len(candidates):
            chosen.append(candidates[confidence[candidates].argmax()])
    return np.array(chosen[:most], dtype=np.int64)
