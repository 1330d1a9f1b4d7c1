from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.checked import collection, photos
from training.checks import wrong_labels
from training.checks.labels import confident_joint, confident_learning, thresholds
from training.config import Config


def predictions(truth: np.ndarray, classes: int, accuracy: float, seed: int = 0) -> np.ndarray:
    """Return the probabilities of a model that is right on `accuracy` of the images, and less sure of the others."""
    rng = np.random.default_rng(seed)
    right = rng.random(len(truth)) < accuracy
    said = np.where(right, truth, (truth + rng.integers(1, classes, len(truth))) % classes)
    sure = np.where(right, rng.beta(6, 1, len(truth)), rng.beta(2, 2, len(truth)))
    probabilities: np.ndarray = rng.dirichlet(np.ones(classes), len(truth)) * (1 - sure[:, None])
    probabilities[np.arange(len(truth)), said] += sure
    probabilities[np.arange(len(truth)), truth] += 0.3  # its second guess is often right
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return probabilities


def noisy(count: int, classes: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, count)
    wrong = rng.random(count) < noise
    labels = np.where(wrong, (truth + rng.integers(1, classes, count)) % classes, truth)
    return truth, labels, wrong


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.2])
def test_the_number_of_wrong_labels_is_estimated(noise: float) -> None:
    truth, labels, wrong = noisy(20_000, 10, noise)
    found = confident_learning(predictions(truth, 10, 0.9), labels)
    assert found.noise == pytest.approx(noise, rel=0.3)
    assert wrong[found.samples].sum() >= 0.8 * wrong.sum()
    assert wrong[found.samples].mean() >= 0.6
    assert (found.suggested == truth[found.samples])[wrong[found.samples]].mean() > 0.85


def test_hardly_any_correct_label_is_doubted() -> None:
    truth, labels, _ = noisy(20_000, 10, 0.0)
    found = confident_learning(predictions(truth, 10, 0.95), labels)
    assert found.noise < 0.01
    assert len(found.samples) < 0.0125 * len(labels)


def test_the_joint_counts_given_labels_against_confident_ones() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95], [0.3, 0.7]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(thresholds(probabilities, labels), [0.8, 0.8])
    assert confident_joint(probabilities, labels).tolist() == [[2, 1], [0, 2]]


def test_a_class_without_images_is_never_suggested() -> None:
    labels = np.array([0] * 50 + [1] * 50)
    probabilities = np.tile([0.1, 0.1, 0.8], (100, 1))
    joint = confident_joint(probabilities, labels)
    assert joint[:, 2].sum() == 0
    assert len(confident_learning(np.eye(3)[labels], labels).samples) == 0


def test_with_few_images_the_report_says_why_labels_are_not_checked(tmp_path: Path) -> None:
    images = collection(photos(24), np.array([0] * 22 + [1] * 2), ["cat", "dog"])
    section, suspects, listed = wrong_labels.find(images, Config(data="x"), tmp_path)
    assert section == {"skipped": "it needs two classes of 20 images or more"}
    assert (suspects, len(listed)) == ([], 0)


def test_copies_are_in_one_fold_and_classes_are_divided_evenly() -> None:
    pixels = photos(60)
    pixels[40:] = pixels[20:40]
    images = collection(pixels, np.repeat([0, 1], 30), ["a", "b"])
    folds = wrong_labels.folds(images, np.arange(60), seed=0)
    assert folds[40:].tolist() == folds[20:40].tolist()
    assert sorted(np.bincount(folds[:30])) == [10, 10, 10]
