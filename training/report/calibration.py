"""Measure what calibration did on the test images: confidence against accuracy, before and after. Fits nothing."""

from __future__ import annotations

import numpy as np

from training.report import metrics
from training.report.figures import Calibration, CalibrationFigures


def describe(temperature: float, reason: str | None, labels: np.ndarray, probabilities: np.ndarray) -> Calibration:
    """Return the section `calibration` of metrics.json.

    Args:
        temperature: the one that `calibrate` returned.
        reason: why the temperature is 1, or None.
        labels: (N,) int, of the test images.
        probabilities: (N, C) float, calibrated.
    """

    def figures(shown: np.ndarray) -> CalibrationFigures:
        ece = metrics.expected_calibration_error(metrics.reliability_bins(labels, shown))
        return CalibrationFigures(ece, metrics.log_loss(labels, shown))

    return Calibration(
        temperature=temperature,
        reason=reason,
        before=figures(uncalibrated(probabilities, temperature)),
        after=figures(probabilities),
    )


def uncalibrated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities before calibration: softmax(z / T) to the power T, normalised, is softmax(z)."""
    powers: np.ndarray = probabilities.astype(np.float64) ** temperature
    normalised: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return normalised
