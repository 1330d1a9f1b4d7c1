"""Logit adjustment: how far class sizes are taken out of the scores."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.imbalance import log_frequencies
from training.export.adjustment import adjust, choose

COUNTS = np.array([900, 90, 10])


def drawn(counts: np.ndarray, seed: int = 0, distance: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the best scores possible for classes that are normal distributions on a line, and the labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    values = labels * distance + rng.normal(size=len(labels))
    scores = -0.5 * (values[:, None] - np.arange(len(counts)) * distance) ** 2 + log_frequencies(counts)
    return scores, labels


def test_small_classes_gain_where_that_costs_little() -> None:
    found = choose(*drawn(COUNTS), COUNTS, 0)
    assert found.reason is None
    assert found.before is not None
    assert found.after is not None
    assert found.after.macro_f1 > found.before.macro_f1
    assert found.before.accuracy - found.after.accuracy <= np.sqrt(0.25 / 1000)


def test_equal_frequencies_leave_the_scores_as_they_are() -> None:
    equal = np.array([300, 300, 300])
    found = choose(*drawn(equal), equal, 0)
    assert (found.strength, found.before) == (0.0, found.after)


def test_a_gain_that_may_be_chance_is_not_taken() -> None:
    """Scores that know nothing of the classes gain some macro F1 by luck."""
    few = np.array([90, 10])
    taken = 0
    for seed in range(20):
        scores = np.random.default_rng(seed).normal(size=(100, 2)) + log_frequencies(few)
        found = choose(scores, np.repeat([0, 1], few), few, 0)
        taken += found.strength > 0
    assert taken <= 2


def test_a_gain_that_costs_more_accuracy_than_one_standard_error_is_not_taken() -> None:
    counts = np.array([5000, 500])
    scores, labels = drawn(counts, distance=1.0)
    found = choose(scores, labels, counts, 0)
    assert found.after is not None
    assert found.strength < 1
    plain = float(((scores - log_frequencies(counts)).argmax(axis=1) == labels).mean())
    assert plain < found.after.accuracy


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorFlow's own
def test_the_last_layer_is_adjusted_in_place() -> None:
    import keras

    scores, labels = drawn(COUNTS)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
    model.layers[-1].set_weights([np.eye(3, dtype=np.float32), np.zeros(3, np.float32)])
    before = model.predict(scores, verbose=0)
    found = adjust(model, scores, labels, COUNTS, 0)
    after = model.predict(scores, verbose=0)
    expected = before * np.exp(-found.strength * log_frequencies(COUNTS))
    assert after == pytest.approx(expected / expected.sum(axis=1, keepdims=True), abs=1e-5)
    assert found.strength > 0


def test_few_images_choose_nothing() -> None:
    found = adjust(None, None, np.zeros(49, int), COUNTS, 0)
    assert found.reason == "49 validation images are too few; at least 50 are needed"
