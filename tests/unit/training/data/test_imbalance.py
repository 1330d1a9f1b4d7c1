from __future__ import annotations

import numpy as np
import pytest

from training.data.imbalance import class_weights, imbalance_ratio, oversampled, treatment


def test_class_weights_are_inverse_to_the_counts_and_average_one_over_all_images() -> None:
    counts = np.array([90, 10])
    weights = class_weights(counts)
    assert weights.tolist() == pytest.approx([100 / 180, 100 / 20])
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)


def test_unequal_classes_are_weighted_by_default() -> None:
    equal, unequal = np.array([10, 12]), np.array([98, 155])
    assert imbalance_ratio(unequal) == pytest.approx(155 / 98)
    assert treatment("auto", equal) == "none"
    assert treatment("auto", unequal) == "class-weights"
    assert treatment("none", unequal) == "none"
    assert treatment("oversample", equal) == "oversample"


def test_oversampling_makes_classes_equal_and_keeps_every_image() -> None:
    labels = np.repeat([0, 1, 2], [20, 7, 1])
    indices = oversampled(labels, np.random.default_rng(0))
    assert np.bincount(labels[indices]).tolist() == [20, 20, 20]
    assert set(indices.tolist()) == set(range(28))
    times = np.bincount(indices)[20:27]
    assert times.max() - times.min() <= 1
