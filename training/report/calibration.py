"""What calibration did to the test images: confidence against accuracy, before and after. Fits nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.report import metrics


def describe(temperature: float, reason: str | None, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return the "calibration" object of metrics.json: what calibration did to the test images.

    Args:
        temperature: that `calibrate` returned.
        reason: why it is 1, or None.
        labels: (N,) int, of the test images.
        probabilities: (N, C) float, calibrated.
    """

    def figures(shown: np.ndarray) -> dict[str, float]:
        ece = metrics.expected_calibration_error(metrics.reliability_bins(labels, shown))
        return {"ece": ece, "log_loss": metrics.log_loss(labels, shown)}

    return {
        "temperature": temperature,
        "reason": reason,
        "before": figures(uncalibrated(probabilities, temperature)),
        "after": figures(probabilities),
    }


def uncalibrated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return what the network answered before: softmax(z) of softmax(z / T), which is its power T, normalised."""
    powers: np.ndarray = probabilities.astype(np.float64) ** temperature
    normalised: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return normalised
