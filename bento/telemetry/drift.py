"""Count features of images and answers, beside the shares of the training data.

Prometheus compares the two over all pods, as docs/drift.md describes.
"""

from __future__ import annotations

import logging
import math

import numpy as np

from bento.telemetry import metrics
from imaging import statistics
from model_format.metadata import Baseline

logger = logging.getLogger("image_classifier")


class Drift:
    """Drift counters of one model, each looked up once.

    Args:
        model: tag of the model.
        class_labels: label of each class in the metrics, in label order; several classes may share one.
        baseline: shares on images that training held out; None for a model that was stored without them.
    """

    def __init__(self, model: str, class_labels: list[str], baseline: Baseline | None) -> None:
        names = {"class": class_labels} | {feature: statistics.bin_names(feature) for feature in statistics.BINS}
        counters = {
            feature: [metrics.drift_observations.labels(model, feature, name) for name in bins]
            for feature, bins in names.items()
        }
        self._classes = counters["class"]
        self._confidence = counters["confidence"]
        self._brightness = counters["brightness"]
        self._bytes = counters["bytes"]
        if baseline is None:
            return
        metrics.drift_baseline_images.labels(model).set(baseline.images)
        for feature, bins in names.items():
            shares = baseline.shares.get(feature, [])
            if len(shares) != len(bins):
                # Another version trained the model. The other features can still be compared.
                logger.warning(
                    "the stored baseline of %s has %d bins, not %d; it is not compared", feature, len(shares), len(bins)
                )
                continue
            total = dict.fromkeys(bins, 0.0)
            for name, share in zip(bins, shares, strict=True):
                total[name] += share
            for name, share in total.items():
                metrics.drift_baseline.labels(model, feature, name).set(share)

    def observe(self, probabilities: np.ndarray, pixels: np.ndarray, size: int | None) -> None:
        """Count one classified image.

        Args:
            probabilities: (C,) float32.
            pixels: (S, S, 3) uint8.
            size: bytes of the encoded image; None for one that came as pixels.
        """
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        if math.isnan(confidence):
            return  # the model answered NaN, which is an error, not drift
        self._classes[best].inc()
        self._confidence[statistics.bin_of("confidence", confidence)].inc()
        self._brightness[statistics.bin_of("brightness", statistics.brightness(pixels))].inc()
        if size is not None:
            self._bytes[statistics.bin_of("bytes", size)].inc()
