"""Temperatures are fitted to synthetic scores, and folded into a real network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.environment import import_keras
from training.export import calibration
from training.export.calibration import fit_temperature
from training.report.calibration import describe, uncalibrated

CLASSES = 5


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    normalised: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return normalised


def drawn(images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return scores (N, C), and labels drawn from the probabilities that the scores stand for."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(scale=2, size=(images, CLASSES)).astype(np.float32)
    labels = np.array([rng.choice(CLASSES, p=row) for row in softmax(scores.astype(np.float64))])
    return scores, labels


@pytest.mark.parametrize("truth", [0.4, 0.7, 1.6, 4.0])
def test_the_true_temperature_is_found_above_and_below_one(truth: float) -> None:
    scores, labels = drawn(4000)
    found, reason = fit_temperature(scores * truth, labels)
    assert reason is None
    assert found == pytest.approx(truth, rel=0.05)


def test_no_other_temperature_has_a_smaller_loss() -> None:
    scores, labels = drawn(500)
    found, _ = fit_temperature(3 * scores, labels)

    def loss(temperature: float) -> float:
        return float(-np.log(softmax(3 * scores.astype(float) / temperature)[np.arange(500), labels]).mean())

    assert loss(found) <= min(loss(found * factor) for factor in (0.97, 0.99, 1.01, 1.03))


def test_calibrated_scores_are_left_unchanged() -> None:
    scores, labels = drawn(300)
    found, reason = fit_temperature(scores, labels)
    assert (found, reason) == (1.0, "300 validation images show no miscalibration")


def test_scores_without_a_wrong_prediction_are_left_unchanged() -> None:
    scores, _ = drawn(200)
    found, reason = fit_temperature(scores, scores.argmax(axis=1))
    assert (found, reason) == (1.0, "every validation image is right, so no confidence would be too high")


def test_random_labels_give_no_temperature() -> None:
    scores, _ = drawn(1000)
    found, reason = fit_temperature(5 * scores, np.random.default_rng(1).integers(0, CLASSES, 1000))
    assert (found, reason) == (1.0, "the best temperature is outside 0.1 to 10")


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_scores_that_are_not_finite_give_no_temperature(broken: float) -> None:
    scores, labels = drawn(100)
    scores[7, 2] = broken
    assert fit_temperature(scores, labels) == (1.0, "the network's scores are not finite")


def test_scores_too_large_for_an_exponential_are_calibrated() -> None:
    scores, labels = drawn(2000)
    found, reason = fit_temperature(np.float32(5) * scores + np.float32(5000), labels)
    assert reason is None
    assert found == pytest.approx(5, rel=0.05)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_uncalibrated_probabilities_are_computed_from_the_calibrated_ones(temperature: float) -> None:
    scores, _ = drawn(50)
    after = softmax(10 * scores / temperature).astype(np.float32)
    assert uncalibrated(after, temperature) == pytest.approx(softmax(10 * scores.astype(float)), abs=2e-6)


@pytest.fixture(scope="module")
def model() -> Any:
    """Return an untrained network whose confidences are neither near 1 nor accurate."""
    from training.config import Config
    from training.network import network

    import_keras().utils.set_random_seed(1)
    made = network.build(Config(image_size=8, depth=1, width=4, dense=0), CLASSES)
    kernel, bias = made.layers[-1].get_weights()
    made.layers[-1].set_weights([kernel * 20, bias + np.arange(CLASSES, dtype=np.float32)])
    return made


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (400, 8, 8, 3), np.uint8)


def test_calibration_changes_confidences_but_no_predicted_class(model: Any, images: np.ndarray) -> None:
    before = model.predict(images, verbose=0)
    weights = [weight.copy() for weight in model.get_weights()]
    rng = np.random.default_rng(3)
    # The labels are drawn at half the confidence that the network claims.
    labels = np.array([rng.choice(CLASSES, p=row) for row in uncalibrated(before, 0.5)])

    temperature, reason = calibration.calibrate(model, images, labels)

    assert reason is None
    assert 1.5 < temperature < 2.7
    after = model.predict(images, verbose=0)
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
    assert uncalibrated(after, temperature) == pytest.approx(before, abs=1e-5)
    figures = describe(temperature, reason, labels, after)
    assert figures.after.log_loss < figures.before.log_loss
    assert figures.after.ece < figures.before.ece
    # Only the weights of the head have changed, and no layer was added.
    changed = [not np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True)]
    assert changed == [False] * (len(weights) - 2) + [True, True]


def test_a_tiny_validation_part_leaves_the_network_unchanged(model: Any, images: np.ndarray) -> None:
    weights = [weight.copy() for weight in model.get_weights()]
    few = calibration.LEAST_IMAGES - 1
    assert calibration.calibrate(model, images[:few], np.zeros(few, int)) == (
        1.0,
        "49 validation images are too few; at least 50 are needed",
    )
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
