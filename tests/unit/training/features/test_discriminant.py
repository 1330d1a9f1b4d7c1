"""The linear discriminant analysis of features, against scikit-learn's and by what it says of images left out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from training.data.split import folds
from training.features import discriminant


def reader(*views: np.ndarray) -> discriminant.Reader:
    def read(samples: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for view in views:
            for piece in np.array_split(samples, 3):
                yield piece, view[piece]

    return read


def blobs(images: int, length: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    means = rng.normal(size=(classes, length))
    return (means[labels] + 1.5 * rng.normal(size=(images, length))).astype(np.float32), labels


def test_without_shrinkage_it_is_the_classical_one() -> None:
    iris = load_iris()
    features = iris.data.astype(np.float32)
    sums = discriminant._Sums(3)
    sums.add(features, iris.target)
    kernel, bias = sums.solve(0.0)
    scores = features @ kernel + bias + sums.log_prior(balanced=False)
    known = LinearDiscriminantAnalysis(solver="lsqr").fit(features, iris.target)
    expected = known.decision_function(features)
    ours, theirs = (values - values.mean(axis=1, keepdims=True) for values in (scores, expected))
    assert ours == pytest.approx(theirs, abs=1e-2)


def test_what_it_says_of_a_fold_is_what_a_fit_to_the_others_says() -> None:
    features, labels = blobs(60, 100, 3)
    number = folds(labels, np.arange(60), 5, 0)
    head, held_out = discriminant.fit(reader(features), labels, number, 3)
    rest = discriminant._Sums(3)
    rest.add(features[number != 2], labels[number != 2])
    kernel, bias = rest.solve(head.shrinkage)
    scores = features[number == 2] @ kernel + bias
    expected = scores.argmax(axis=1)
    assert held_out.probabilities[number == 2].argmax(axis=1).tolist() == expected.tolist()
    assert held_out.samples.tolist() == list(range(60))


def test_with_fewer_images_than_features_it_learns_and_knows_how_sure_it_is() -> None:
    features, labels = blobs(200, 400, 4)
    number = folds(labels, np.arange(200), 5, 0)
    head, held_out = discriminant.fit(reader(features), labels, number, 4)
    others, truth = blobs(200, 400, 4)
    right = (held_out.probabilities.argmax(axis=1) == labels).mean()
    assert right > 0.8
    assert abs(held_out.probabilities.max(axis=1).mean() - right) < 0.1
    assert (np.argmax(others @ head.kernel + head.bias, axis=1) == truth).all()
    assert head.kernel.dtype == head.bias.dtype == np.float32


def test_further_views_of_an_image_count_in_the_fit_and_not_in_the_judgement() -> None:
    features, labels = blobs(50, 20, 2)
    number = folds(labels, np.arange(50), 5, 0)
    one, _ = discriminant.fit(reader(features), labels, number, 2)
    same, judged = discriminant.fit(reader(features, features), labels, number, 2)
    other, _ = discriminant.fit(reader(features, features[::-1].copy()), labels, number, 2)
    assert same.kernel == pytest.approx(one.kernel, rel=1e-3)
    assert len(judged.samples) == 50
    assert np.abs(other.kernel - one.kernel).max() > 1e-3


def test_a_rare_class_is_as_likely_as_it_is_frequent_unless_classes_are_balanced() -> None:
    features = np.random.default_rng(0).normal(size=(110, 8)).astype(np.float32)
    labels = (np.arange(110) >= 100).astype(int)
    number = folds(labels, np.arange(110), 5, 0)
    plain, balanced = (
        discriminant.fit(reader(features), labels, number, 2, balanced=wanted)[1].probabilities[:, 1].mean()
        for wanted in (False, True)
    )
    assert plain == pytest.approx(10 / 110, abs=0.03)
    assert balanced == pytest.approx(0.5, abs=0.1)


def test_a_class_with_one_image_and_features_that_never_change_do_no_harm() -> None:
    features, labels = blobs(41, 6, 2)
    features[:, 3] = 0
    labels[40] = 2
    _, held_out = discriminant.fit(reader(features), labels, folds(labels, np.arange(41), 5, 0), 3)
    assert np.isfinite(held_out.probabilities).all()
    assert held_out.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
