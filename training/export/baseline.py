"""Measure the drift baseline: what images and answers look like on images that the model wasn't trained on."""

from __future__ import annotations

import numpy as np

from imaging import statistics
from model_format.metadata import Baseline
from training.data.dataset import Part


def baseline(part: Part, probabilities: np.ndarray) -> Baseline:
    """Return the share of the images in each bin of each feature.

    Args:
        part: images that were not trained on.
        probabilities: (N, C) float, the model's answers to them.

    Returns:
        Shares of the predicted classes as "class", and of the features of `imaging.statistics`.
    """
    predicted = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
    shares = {"class": (predicted / len(part)).tolist()}
    values = {
        "confidence": probabilities.max(axis=1).tolist(),
        "brightness": [statistics.brightness(pixels) for batch in part.batches() for pixels in batch],
        "bytes": part.file_sizes.tolist(),
    }
    for feature, bounds in statistics.BINS.items():
        bins = [statistics.bin_of(feature, value) for value in values[feature]]
        shares[feature] = (np.bincount(bins, minlength=len(bounds)) / len(part)).tolist()
    return Baseline(len(part), shares)
