"""Figures worked out by hand, and agreement with scikit-learn where it defines the same thing."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from sklearn.metrics import log_loss, precision_recall_fscore_support, roc_auc_score

from training.report import metrics
from training.report.figures import Averages, ClassFigures, Evaluation

CATS_AND_DOGS = ["cat", "dog"]


def of_cat(*probabilities: float) -> np.ndarray:
    """Two-class probabilities from those of the first class."""
    return np.array([[p, 1 - p] for p in probabilities])


def random_predictions(classes: int, images: int = 300) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(classes)
    labels = rng.choice(classes, images, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    logits = rng.normal(size=(images, classes)) + 2 * np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, probabilities, [f"class {i}" for i in range(classes)]


def test_two_classes_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    test = metrics.evaluate(labels, of_cat(0.9, 0.8, 0.3, 0.6, 0.1), CATS_AND_DOGS)

    assert test.accuracy == 0.6
    assert test.confusion_matrix == [[2, 1], [1, 1]]
    cat, dog = test.per_class["cat"], test.per_class["dog"]
    assert asdict(cat) == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "auc": 5 / 6, "images": 3})
    assert asdict(dog) == pytest.approx({"precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2, "auc": 5 / 6, "images": 2})
    assert asdict(test.f1) == pytest.approx({"macro": 7 / 12, "weighted": 0.6})
    assert asdict(test.auc) == pytest.approx({"macro": 5 / 6, "weighted": 5 / 6})
    assert test.log_loss == pytest.approx(-np.log([0.9, 0.8, 0.3, 0.4, 0.9]).mean())
    assert test.images == 5


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_agrees_with_scikit_learn(classes: int) -> None:
    labels, probabilities, names = random_predictions(classes)
    test = metrics.evaluate(labels, probabilities, names)

    predicted = probabilities.argmax(axis=1)
    for average in ("macro", "weighted"):
        expected = precision_recall_fscore_support(labels, predicted, average=average, zero_division=0)
        found = [getattr(figure, average) for figure in (test.precision, test.recall, test.f1)]
        assert found == pytest.approx(expected[:3])
        scores = probabilities[:, 1] if classes == 2 else probabilities
        auc = roc_auc_score(labels, scores, multi_class="ovr", average=average)
        assert getattr(test.auc, average) == pytest.approx(auc)
    assert test.log_loss == pytest.approx(log_loss(labels, probabilities))


def test_a_class_that_is_never_predicted_has_precision_zero() -> None:
    test = metrics.evaluate(np.array([0, 0, 1]), of_cat(0.9, 0.8, 0.7), CATS_AND_DOGS)

    assert test.per_class["dog"] == ClassFigures(precision=0.0, recall=0.0, f1=0.0, auc=1.0, images=1)
    assert test.precision.macro == pytest.approx(1 / 3)


def test_a_class_without_images_is_undefined_and_left_out_of_the_averages() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.3, 0.5], [0.3, 0.6, 0.1]])
    test = metrics.evaluate(np.array([0, 0, 1]), probabilities, ["ant", "bee", "fly"])

    undefined = ClassFigures(precision=None, recall=None, f1=None, auc=None, images=0)
    assert test.per_class["fly"] == undefined
    assert asdict(test.recall) == pytest.approx({"macro": 0.75, "weighted": 2 / 3})
    assert test.confusion_matrix == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert list(metrics.roc_curves(np.array([0, 0, 1]), probabilities, ["ant", "bee", "fly"])) == ["ant", "bee"]


def test_auc_is_undefined_where_only_one_class_has_images() -> None:
    test = metrics.evaluate(np.array([1, 1]), of_cat(0.2, 0.7), CATS_AND_DOGS)

    assert test.auc == Averages(macro=None, weighted=None)
    assert test.per_class["dog"].auc is None
    assert test.recall.macro == 0.5


def test_calibration_error_by_hand() -> None:
    # Confidence 0.9 in four images of which two are right, 0.6 in one that is right.
    labels = np.array([0, 0, 1, 1, 0])
    test = metrics.evaluate(labels, of_cat(0.9, 0.9, 0.9, 0.9, 0.6), CATS_AND_DOGS)

    assert test.ece == pytest.approx((4 * 0.4 + 1 * 0.4) / 5)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    bins = metrics.reliability_bins(np.array([0, 0, 0]), of_cat(0.6, 0.6000001, 1.0))

    assert bins["count"].tolist() == [0] * 8 + [1, 1] + [0] * 4 + [1]
    assert np.isnan(bins["accuracy"][0])


def test_a_perfect_classifier_has_no_loss_and_no_calibration_error() -> None:
    test = metrics.evaluate(np.array([0, 1]), np.eye(2, dtype=np.float32), CATS_AND_DOGS)

    assert (test.accuracy, test.auc.macro, test.ece, test.log_loss) == (1, 1, 0, 0)


def test_certainty_of_the_wrong_class_gives_a_finite_loss() -> None:
    test = metrics.evaluate(np.array([0]), np.array([[0, 1]], dtype=np.float32), CATS_AND_DOGS)

    assert test.log_loss == pytest.approx(-np.log(np.finfo(np.float32).eps))


def test_the_result_is_strict_json() -> None:
    labels, probabilities, names = random_predictions(4)
    test = metrics.evaluate(labels.astype(np.int32), probabilities.astype(np.float32), [*names[:3], "x"])

    assert Evaluation.from_json(json.loads(json.dumps(test.to_json(), allow_nan=False))) == test


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([], np.empty((0, 2)), "no images"),
        ([0], np.ones((1, 3)) / 3, "shape"),
        ([2], np.ones((1, 2)) / 2, "labels"),
        ([0], np.array([[np.nan, np.nan]]), "finite"),
    ],
)
def test_invalid_input_is_refused(labels: list[int], probabilities: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.evaluate(np.array(labels, dtype=np.int64), probabilities, CATS_AND_DOGS)


def test_the_most_confident_mistakes_come_first() -> None:
    labels = np.array([0, 1, 0, 1, 1])
    probabilities = of_cat(0.9, 0.7, 0.1, 0.8, 0.2)

    assert metrics.most_confident_mistakes(labels, probabilities, 2).tolist() == [2, 3]
    assert metrics.most_confident_mistakes(labels, probabilities, 9).tolist() == [2, 3, 1]


@pytest.mark.parametrize(
    ("share", "images", "expected"),
    # Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I.
    [(81 / 263, 263, (0.2553, 0.3662)), (15 / 148, 148, (0.0624, 0.1605)), (0, 20, (0, 0.1611)), (1, 29, (0.8830, 1))],
)
def test_the_interval_of_a_fraction_by_hand(share: float, images: int, expected: tuple[float, float]) -> None:
    assert metrics.wilson_interval(share, images) == pytest.approx(expected, abs=5e-5)
