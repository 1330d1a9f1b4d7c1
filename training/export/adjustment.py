"""Take a part of the class sizes out of a network's answers, as far as that helps small classes and costs little.

A network trained on many images of one class and few of another leans to the first: its scores hold the logarithm of
the classes' frequencies. Source: Menon et al., Long-tail learning via logit adjustment, ICLR 2021 (post-hoc).
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from training.data.imbalance import log_frequencies
from training.export.calibration import LEAST_IMAGES, scores_of
from training.report.figures import Adjustment, Balanced

logger = logging.getLogger(__name__)

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
"""At 1, the answers are those of a network whose classes were equally frequent."""
_RESAMPLES = 200


def adjust(model: Any, batches: Any, labels: np.ndarray, counts: np.ndarray, seed: int) -> Adjustment:
    """Subtract strength * log(frequency) from the scores of `model`, in place: from the bias of its last layer.

    Args:
        model: a `keras.Model` that ends in a dense layer with softmax.
        batches: the validation images, as an input that Keras accepts, in the order of `labels`.
        labels: (N,) int.
        counts: (C,) int, the training images of each class.
        seed: of the resampling.
    """
    if len(labels) < LEAST_IMAGES:
        return unadjusted(f"{len(labels)} validation images are too few; at least {LEAST_IMAGES} are needed")
    found = choose(scores_of(model, batches), labels, counts, seed)
    if found.reason:
        return unadjusted(found.reason, found)
    bias = model.layers[-1].weights[1]
    bias.assign(np.asarray(bias) - found.strength * log_frequencies(counts))
    assert found.before is not None
    assert found.after is not None
    logger.info(
        "scores adjusted for the class sizes, strength %g: on the validation images macro F1 is %.3f instead of %.3f, "
        "accuracy %.1f%% instead of %.1f%%",
        found.strength,
        found.after.macro_f1,
        found.before.macro_f1,
        100 * found.after.accuracy,
        100 * found.before.accuracy,
    )
    return found


def unadjusted(reason: str, found: Adjustment | None = None) -> Adjustment:
    """Return that a model is left as it is, and why, in the log too."""
    logger.info("scores not adjusted for the class sizes: %s", reason)
    return found or Adjustment(0.0, reason)


def choose(scores: np.ndarray, labels: np.ndarray, counts: np.ndarray, seed: int) -> Adjustment:
    """Choose the strength with the best macro F1 of those that cost at most one standard error of accuracy.

    It must gain more F1 than one standard error of the gain, by the bootstrap (Efron and Tibshirani, 1993).

    Args:
        scores: (N, C) float, before the softmax, of images that the network was not trained on.
        labels: (N,) int.
        counts: (C,) int, the training images of each class.
        seed: of the resampling.
    """
    if not np.isfinite(scores).all():
        return Adjustment(0.0, "the network's scores are not finite")
    prior = log_frequencies(counts)
    answers = {strength: (scores - strength * prior).argmax(axis=1) for strength in (0.0, *STRENGTHS)}
    accuracy = {strength: float((answer == labels).mean()) for strength, answer in answers.items()}
    f1 = {strength: _macro_f1(labels, answer) for strength, answer in answers.items()}
    allowed = float(np.sqrt(accuracy[0.0] * (1 - accuracy[0.0]) / len(labels)))
    near = [strength for strength in answers if accuracy[0.0] - accuracy[strength] <= allowed]
    best = max(near, key=lambda strength: (f1[strength], -strength))
    before, after = (Balanced(accuracy[strength], f1[strength]) for strength in (0.0, best))
    if not best:
        return Adjustment(0.0, "no strength improves macro F1 without costing too much accuracy", before, before)
    error = _standard_error(labels, answers[0.0], answers[best], seed)
    if f1[best] - f1[0.0] <= error:
        reason = f"macro F1 would gain only {f1[best] - f1[0.0]:.3f}, which may be chance"
        return Adjustment(0.0, reason, before, before)
    return Adjustment(best, None, before, after)


def _macro_f1(labels: np.ndarray, answers: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, answers, labels=np.unique(labels), average="macro", zero_division=0))


def _standard_error(labels: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int) -> float:
    rng = np.random.default_rng(seed)
    gains = []
    for _ in range(_RESAMPLES):
        some = rng.integers(0, len(labels), len(labels))
        gains.append(_macro_f1(labels[some], second[some]) - _macro_f1(labels[some], first[some]))
    return float(np.std(gains))
