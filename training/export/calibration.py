"""Make a network's confidence a probability: temperature scaling, folded into its last dense layer. Trains nothing.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

LEAST_IMAGES = 50
"""With fewer validation images, one that is wrong by chance decides the temperature."""

BOUNDS = (0.1, 10.0)
"""Published temperatures lie between 0.5 and 5. One twice as far says that the validation images are unlike those
of training, or their labels wrong, which no temperature mends."""

# The 95% quantile of chi-squared with one degree of freedom: twice the log-likelihood that a parameter must gain.
_EVIDENCE = 3.84


def calibrate(model: Any, batches: Any, labels: np.ndarray) -> tuple[float, str | None]:
    """Divide the scores before the softmax of `model` by a temperature, in place.

    The temperature goes into kernel and bias of the last dense layer: the network stays as it is, and no form
    that is exported of it knows of calibration. Which class is the best never changes.

    Args:
        model: a `keras.Model` that ends in a dense layer with softmax.
        batches: the validation images as Keras takes them, in the order of `labels`.
        labels: (N,) int.

    Returns:
        The temperature, and why it is 1, if `model` was left as it was.
    """
    from keras import Model, layers

    if len(labels) < LEAST_IMAGES:
        return _left(f"{len(labels)} validation images are too few; it takes {LEAST_IMAGES}")
    head = model.layers[-1]
    # In a layer of its own: from probabilities of 0 and 1, which float32 rounds to, no score comes back.
    # Named, since a loaded network may have a "dense" already.
    scores = layers.Dense(head.units, dtype="float32", name="before_softmax")
    scorer = Model(model.input, scores(head.input))
    scores.set_weights(head.get_weights())
    temperature, reason = fit_temperature(scorer.predict(batches, verbose=0), labels)
    if reason is not None:
        return _left(reason)
    for weight in head.weights:
        weight.assign(weight / temperature)
    logger.info("calibrated on %d validation images: temperature %.3f", len(labels), temperature)
    return temperature, None


def _left(reason: str) -> tuple[float, str]:
    logger.info("not calibrated: %s", reason)
    return 1.0, reason


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> tuple[float, str | None]:
    """Return the temperature T with the least negative log-likelihood of softmax(scores / T).

    Args:
        scores: (N, C) float, before the softmax.
        labels: (N,) int.

    Returns:
        T within `BOUNDS`, below 1 for a network that is too modest, and None; or 1 and why no T can be told.
    """
    from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

    if not np.isfinite(scores).all():
        return 1.0, "the network's scores are not finite"
    if (scores.argmax(axis=1) == labels).all():
        return 1.0, "every validation image is right, so no confidence would be too high"
    exact = scores.astype(np.float64)

    def loss(log_temperature: float) -> float:
        return _negative_log_likelihood(exact / np.exp(log_temperature), labels)

    # Convex in 1 / T, so one valley in log T as well.
    found = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded")
    temperature = float(np.exp(found.x))
    if not BOUNDS[0] * 1.01 < temperature < BOUNDS[1] / 1.01:
        return 1.0, f"the best temperature is outside {BOUNDS[0]:g} to {BOUNDS[1]:g}"
    if 2 * len(labels) * (loss(0.0) - found.fun) < _EVIDENCE:
        return 1.0, f"{len(labels)} validation images show no miscalibration"
    return temperature, None


def _negative_log_likelihood(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over (N, C) scores, in nats."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]).mean())
