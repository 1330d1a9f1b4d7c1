"""Measure a classifier by its probabilities alone. Pure functions, no models and no files."""

from __future__ import annotations

import math

import numpy as np

from training.report.figures import Averages, ClassFigures, Evaluation

CALIBRATION_BINS = 15


def evaluate(labels: np.ndarray, probabilities: np.ndarray, class_names: list[str]) -> Evaluation:
    """Measure predictions against the truth.

    Precision, recall and F1 are those of the top class. A class that is never predicted has precision 0. AUC is
    one-vs-rest. An undefined figure is None: every figure of a class without an image here, and AUC if only one class
    has images.

    Args:
        labels: (N,) int, indices into `class_names`; N is at least 1.
        probabilities: (N, C) float, each row sums to 1.
        class_names: the C names in label order.

    Returns:
        The section `test` of metrics.json. `ece` is the result of `expected_calibration_error`, and `log_loss` of
        `log_loss`.

    Raises:
        ValueError: there is no image, shapes don't match, or a probability is not finite.
    """
    _check(labels, probabilities, class_names)
    matrix = _confusion_matrix(labels, probabilities.argmax(axis=1), len(class_names))
    hits, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    with np.errstate(invalid="ignore"):
        recall = hits / support  # 0/0 is NaN, which marks an absent class until `_number`
        precision = np.where(support > 0, hits / np.maximum(predicted, 1), np.nan)
        f1 = np.where(support > 0, 2 * hits / np.maximum(support + predicted, 1), np.nan)
    auc = _one_vs_rest_auc(labels, probabilities, support)
    figures = {"precision": precision, "recall": recall, "f1": f1, "auc": auc}
    reliability = reliability_bins(labels, probabilities)
    return Evaluation(
        accuracy=float(hits.sum() / len(labels)),
        **{name: _averages(values, support) for name, values in figures.items()},
        ece=expected_calibration_error(reliability),
        log_loss=log_loss(labels, probabilities),
        images=len(labels),
        per_class={
            name: ClassFigures(**{key: _number(values[i]) for key, values in figures.items()}, images=int(support[i]))
            for i, name in enumerate(class_names)
        },
        confusion_matrix=matrix.tolist(),
    )


def reliability_bins(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """Sort predictions into 15 bins of equal width, (i/15, (i+1)/15], by the top class's probability.

    Returns:
        "count" (15,) int, and "confidence" and "accuracy" (15,) float, the means of each bin: NaN if it is
        empty.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    bins = np.searchsorted(edges[1:-1], confidence, side="left")
    count = np.bincount(bins, minlength=CALIBRATION_BINS)
    with np.errstate(invalid="ignore"):
        return {
            "count": count,
            "confidence": np.bincount(bins, confidence, CALIBRATION_BINS) / count,
            "accuracy": np.bincount(bins, correct, CALIBRATION_BINS) / count,
        }


def expected_calibration_error(reliability: dict[str, np.ndarray]) -> float:
    """Return the mean distance of confidence and accuracy over `reliability_bins`, weighted by their images.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    count = reliability["count"]
    gap = np.nan_to_num(np.abs(reliability["accuracy"] - reliability["confidence"]))
    return float((count * gap).sum() / count.sum())


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean negative log-likelihood in nats, with probabilities clipped at their type's epsilon."""
    truth = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(truth.clip(np.finfo(truth.dtype).eps, 1).astype(np.float64)).mean())


def roc_curves(
    labels: np.ndarray, probabilities: np.ndarray, class_names: list[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the one-vs-rest ROC of each class that has both images and counter-examples.

    Returns:
        Class name -> (false positive rates, true positive rates), each rising from 0 to 1.
    """
    from sklearn.metrics import roc_curve

    curves = {}
    for i, name in enumerate(class_names):
        is_class = labels == i
        if 0 < is_class.sum() < len(labels):
            false_positive_rate, true_positive_rate, _ = roc_curve(is_class, probabilities[:, i])
            curves[name] = (false_positive_rate, true_positive_rate)
    return curves


def most_confident_mistakes(labels: np.ndarray, probabilities: np.ndarray, most: int) -> np.ndarray:
    """Return the indices of at most `most` wrongly classified images, the most confident first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:most]


def wilson_interval(share: float, images: int) -> tuple[float, float]:
    """Return the 95% confidence interval of a `share` that was measured on this many images.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    z = 1.959964
    middle = (share + z * z / (2 * images)) / (1 + z * z / images)
    half = z / (1 + z * z / images) * math.sqrt(share * (1 - share) / images + z * z / (4 * images**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _check(labels: np.ndarray, probabilities: np.ndarray, class_names: list[str]) -> None:
    if len(labels) == 0:
        raise ValueError("no images to evaluate on")
    if probabilities.shape != (len(labels), len(class_names)):
        raise ValueError(
            f"probabilities of shape {probabilities.shape} for {len(labels)} images, {len(class_names)} classes"
        )
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise ValueError(f"labels outside 0..{len(class_names) - 1}")
    if not np.isfinite(probabilities).all():
        raise ValueError("the model's probabilities are not finite")


def _confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    pairs = labels.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def _one_vs_rest_auc(labels: np.ndarray, probabilities: np.ndarray, support: np.ndarray) -> np.ndarray:
    from sklearn.metrics import roc_auc_score

    auc = np.full(len(support), np.nan)
    for i in np.flatnonzero((support > 0) & (support < len(labels))):
        auc[i] = roc_auc_score(labels == i, probabilities[:, i])
    return auc


def _averages(values: np.ndarray, support: np.ndarray) -> Averages:
    defined = np.isfinite(values)
    if not defined.any():
        return Averages(None, None)
    return Averages(
        macro=float(values[defined].mean()),
        weighted=float(np.average(values[defined], weights=support[defined])),
    )


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
