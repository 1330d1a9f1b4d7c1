"""What images and answers look like where the model has never trained: what the service compares its own with."""

from __future__ import annotations

from typing import Any

import numpy as np

from imaging import statistics
from training.data.dataset import Part


def baseline(part: Part, probabilities: np.ndarray) -> dict[str, Any]:
    """Return the share of the images in each bin, by feature.

    Args:
        part: images that were not trained on.
        probabilities: (N, C) float, the model's answers to them.

    Returns:
        "images", how many there are; "class", shares of the predicted classes in label order; and the features of
        `imaging.statistics`, shares in the order of their bins.
    """
    found: dict[str, Any] = {"images": len(part)}
    predicted = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    found["class"] = (predicted / len(part)).tolist()
    values = {
        "confidence": probabilities.max(axis=1).tolist(),
        "brightness": [statistics.brightness(pixels) for batch in part.batches() for pixels in batch],
        "bytes": part.file_sizes.tolist(),
    }
    for feature, bounds in statistics.BINS.items():
        bins = [statistics.bin_of(feature, value) for value in values[feature]]
        found[feature] = (np.bincount(bins, minlength=len(bounds)) / len(part)).tolist()
    return found
