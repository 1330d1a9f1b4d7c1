"""Make a network's confidence a probability: fit a temperature and fold it into the last dense layer.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

LEAST_IMAGES = 50
"""With fewer validation images, a single chance error would decide the temperature."""

BOUNDS = (0.1, 10.0)
"""Published temperatures lie between 0.5 and 5. A temperature far outside means that the validation images differ
from the training images, or that labels are wrong. A temperature can't repair either."""

# The 95% quantile of chi-squared with one degree of freedom: a parameter must gain half of it in log-likelihood.
_EVIDENCE = 3.84


def calibrate(model: Any, batches: Any, labels: np.ndarray) -> tuple[float, str | None]:
    """Divide the scores before the softmax of `model` by a temperature, in place.

    The temperature goes into the kernel and the bias of the last dense layer, so that no exported form needs to
    know about calibration. The predicted class never changes.

    Args:
        model: a `keras.Model` that ends in a dense layer with softmax.
        batches: the validation images, as an input that Keras accepts, in the order of `labels`.
        labels: (N,) int.

    Returns:
        The temperature and None, or 1 and the reason for which `model` was left unchanged.
    """
    if len(labels) < LEAST_IMAGES:
        return _unchanged(f"{len(labels)} validation images are too few; at least {LEAST_IMAGES} are needed")
    temperature, reason = fit_temperature(scores_of(model, batches), labels)
    if reason is not None:
        return _unchanged(reason)
    for weight in model.layers[-1].weights:
        weight.assign(weight / temperature)
    logger.info("calibrated on %d validation images: temperature %.3f", len(labels), temperature)
    return temperature, None


def scores_of(model: Any, batches: Any) -> np.ndarray:
    """Return the scores before the softmax of `model`, (N, C) float32, for the images of `batches`."""
    from keras import Model, layers

    head = model.layers[-1]
    # A layer without softmax computes the scores: they can't be recovered from probabilities rounded to 0 or 1.
    # The layer needs a name because a loaded network may already have a layer called "dense".
    scores = layers.Dense(head.units, dtype="float32", name="before_softmax")
    scorer = Model(model.input, scores(head.input))
    scores.set_weights(head.get_weights())
    return np.asarray(scorer.predict(batches, verbose=0))


def _unchanged(reason: str) -> tuple[float, str]:
    logger.info("not calibrated: %s", reason)
    return 1.0, reason


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> tuple[float, str | None]:
    """Return the temperature T with the least negative log-likelihood of softmax(scores / T).

    Args:
        scores: (N, C) float, before the softmax.
        labels: (N,) int.

    Returns:
        T within `BOUNDS` and None; T is below 1 for an underconfident network. Or 1 and the reason for which no T
        can be determined.
    """
    from scipy.optimize import minimize_scalar

    if not np.isfinite(scores).all():
        return 1.0, "the network's scores are not finite"
    if (scores.argmax(axis=1) == labels).all():
        return 1.0, "every validation image is right, so no confidence would be too high"
    exact = scores.astype(np.float64)

    def loss(log_temperature: float) -> float:
        return _negative_log_likelihood(exact / np.exp(log_temperature), labels)

    # The loss is convex in 1 / T, so it has a single minimum in log T as well.
    found = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded")
    temperature = float(np.exp(found.x))
    if not BOUNDS[0] * 1.01 < temperature < BOUNDS[1] / 1.01:
        return 1.0, f"the best temperature is outside {BOUNDS[0]:g} to {BOUNDS[1]:g}"
    if 2 * len(labels) * (loss(0.0) - found.fun) < _EVIDENCE:
        return 1.0, f"{len(labels)} validation images show no miscalibration"
    return temperature, None


def _negative_log_likelihood(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over (N, C) scores, in nats."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]).mean())
