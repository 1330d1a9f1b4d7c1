"""Linear discriminant analysis with shrinkage: a linear classifier of features, fitted without iterations.

The classes are taken for normal distributions with one covariance, which makes the best classifier a linear one
(Fisher, 1936). With fewer images than features, the covariance is drawn towards its diagonal (Friedman, "Regularized
discriminant analysis", 1989). How far, and how sure the classifier is of itself, follows from images that it was not
fitted to, fold by fold. A fold costs a subtraction: sums over all images less the sums over the fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from training.data.imbalance import log_frequencies

SHRINKAGES = (0.1, 0.3, 0.5, 0.7, 0.9)
_JUDGED = 10_000
"""Images, at most, by which shrinkage and scale are chosen."""
_SCALES = (1e-3, 3.0)

Reader = Callable[[np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]
"""From samples, (N,) int, to pieces of them, each with its features (n, D) float. After all, they may come again,
with the features of other views."""


@dataclass(frozen=True)
class Head:
    """A linear classifier of features: softmax(features @ kernel + bias)."""

    kernel: np.ndarray
    """(D, C) float32."""
    bias: np.ndarray
    """(C,) float32."""
    shrinkage: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the probabilities, (n, C) float32, of `features` (n, D)."""
        return _softmax(features @ self.kernel + self.bias)


@dataclass(frozen=True)
class HeldOut:
    """What a head says of images that it was not fitted to."""

    samples: np.ndarray
    """(n,) int."""
    probabilities: np.ndarray
    """(n, C) float32."""


def fit(
    read: Reader, labels: np.ndarray, folds: np.ndarray, classes: int, *, balanced: bool = False, seed: int = 0
) -> tuple[Head, HeldOut]:
    """Fit a head to all samples, and say how heads of the same kind do on folds that they were not fitted to.

    Args:
        read: gives the features. The judgement uses the first view of a sample alone.
        labels: (N,) int.
        folds: (N,) int from 0, the fold of each sample; at least two.
        classes: the number of classes.
        balanced: whether all classes count as equally frequent.
        seed: of the choice of samples to judge by, if there are more than 10,000.
    """
    import scipy.linalg  # noqa: F401  (loads its BLAS: the limit is for loaded ones)
    from threadpoolctl import threadpool_limits

    # The threads would mostly wait for each other, at full speed.
    with threadpool_limits(1, "blas"):
        return _fit(read, labels, folds, classes, balanced, seed)


def _fit(
    read: Reader, labels: np.ndarray, folds: np.ndarray, classes: int, balanced: bool, seed: int
) -> tuple[Head, HeldOut]:
    sums = [_Sums(classes) for _ in range(int(folds.max()) + 1)]
    for samples, features in read(np.arange(len(labels))):
        for fold in np.unique(folds[samples]).tolist():
            here = folds[samples] == fold
            sums[fold].add(features[here], labels[samples[here]])
    total = _Sums(classes)
    for one in sums:
        total += one

    judged = np.sort(np.random.default_rng(seed).permutation(len(labels))[:_JUDGED])
    scores = np.empty((len(judged), classes), np.float32)
    best: tuple[float, float, float, np.ndarray] | None = None
    rests = [total - one for one in sums]
    priors = np.stack([rest.log_prior(balanced) for rest in rests])[folds[judged]]
    for shrinkage in SHRINKAGES:
        heads = [rest.solve(shrinkage) for rest in rests]
        for samples, features in _first_views(read, judged):
            for fold in np.unique(folds[samples]).tolist():
                here = folds[samples] == fold
                kernel, bias = heads[fold]
                scores[np.searchsorted(judged, samples[here])] = features[here] @ kernel + bias
        scale, loss = _scale(scores, priors, labels[judged])
        if best is None or loss < best[0]:
            best = loss, shrinkage, scale, _softmax(scale * scores + priors)
    assert best is not None
    _, shrinkage, scale, probabilities = best
    kernel, bias = total.solve(shrinkage)
    head = Head(
        (scale * kernel).astype(np.float32), (scale * bias + total.log_prior(balanced)).astype(np.float32), shrinkage
    )
    return head, HeldOut(judged, probabilities)


def _first_views(read: Reader, samples: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    left = len(samples)
    for piece, features in read(samples):
        yield piece, features
        left -= len(piece)
        if left <= 0:
            return


class _Sums:
    """Counts, sums and products of features, which make the means of the classes and their common covariance."""

    def __init__(self, classes: int) -> None:
        self.counts = np.zeros(classes)
        self.sums: np.ndarray | float = 0.0
        self.products: np.ndarray | float = 0.0

    def add(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Count `features` (n, D) of `labels` (n,)."""
        exact = features.astype(np.float64)
        self.counts += np.bincount(labels, minlength=len(self.counts))
        sums = np.zeros((len(self.counts), exact.shape[1]))
        np.add.at(sums, labels, exact)
        self.sums = self.sums + sums
        self.products = self.products + exact.T @ exact

    def __add__(self, other: _Sums) -> _Sums:
        return self._combined(other, 1)

    def __sub__(self, other: _Sums) -> _Sums:
        return self._combined(other, -1)

    def _combined(self, other: _Sums, sign: int) -> _Sums:
        result = _Sums(len(self.counts))
        result.counts = self.counts + sign * other.counts
        result.sums, result.products = self.sums + sign * other.sums, self.products + sign * other.products
        return result

    def log_prior(self, balanced: bool) -> np.ndarray:
        """Return the logarithm of each class's share, (C,), or zeros."""
        return np.zeros(len(self.counts)) if balanced else log_frequencies(self.counts)

    def solve(self, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the kernel (D, C) and the bias (C,) for classes of equal size."""
        from scipy.linalg import cho_factor, cho_solve

        sums, products = np.asarray(self.sums), np.asarray(self.products)
        number = self.counts.sum()
        means = sums / np.maximum(self.counts, 1)[:, None]
        covariance = (products - sums.T @ means) / number
        variances = np.diag(covariance).copy()
        # A feature that never changes, or hardly, must not decide.
        variances = np.maximum(variances, max(1e-6 * float(variances.max(initial=0)), 1e-12))
        covariance *= 1 - shrinkage
        np.fill_diagonal(covariance, variances)
        means[self.counts == 0] = sums.sum(axis=0) / number
        kernel = cho_solve(cho_factor(covariance, lower=True), means.T)
        return kernel, -0.5 * (means * kernel.T).sum(axis=1)


def _scale(scores: np.ndarray, priors: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the factor of `scores` with the least negative log-likelihood, and that."""
    from scipy.optimize import minimize_scalar

    def loss(log_scale: float) -> float:
        probabilities = _softmax(np.exp(log_scale) * scores + priors)
        truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
        return float(-np.log(truth.clip(1e-12)).mean())

    found = minimize_scalar(loss, bounds=np.log(_SCALES), method="bounded", options={"xatol": 0.02})
    return float(np.exp(found.x)), float(found.fun)


def _softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32)
