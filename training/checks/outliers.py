"""Images unlike all others of their class, by colours and coarse shape, and images of one colour."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.checks.collection import Collection
from training.checks.reduce import grids
from training.data.exclusions import Suspect
from training.report.display import printable

_GRID = 8
_FLAT = 2.0
_SAMPLE = 1_500
"""Images of half a class that its mean and covariance are taken from."""
_FEWEST = 30
_LIMIT = 6.0
"""Robust standard deviations of the logarithm of the distance; of a normal distribution one in 10^9 lies beyond."""
_LEAST_SPREAD = 0.1
"""Of a class whose images are all alike, one that lies twice as far is no outlier yet."""
_LISTED = 500


def find(images: Collection, seed: int) -> tuple[dict[str, Any], list[Suspect], np.ndarray]:
    """Find the images that lie far from their class.

    An image is 8 x 8 cells of three colours. Its distance from its class is Mahalanobis', with Ledoit and Wolf's
    covariance (2004) of the half of the class that it is not in; far is what lies more than 6 robust standard
    deviations (by the median) above the class's usual. Classes of less than 30 images are
    passed over: they have no usual.

    Returns:
        The report's section; which files are better left out; the samples listed, the farthest first.
    """
    score, flat = np.zeros(len(images)), np.zeros(len(images), bool)
    half = np.random.default_rng(seed).permutation(len(images)) % 2
    models = _models(images, half)
    for chunk in images.chunks():
        features = _features(images[chunk])
        flat[chunk] = features.reshape(len(chunk), 3, -1).std(axis=2).max(axis=1) < _FLAT
        for label, side in {*zip(images.labels[chunk].tolist(), half[chunk].tolist(), strict=True)}:
            if label in models:
                here = (images.labels[chunk] == label) & (half[chunk] == side)
                score[chunk[here]] = models[label][side].score(features[here])
    for label in models:
        for side in (0, 1):
            members = np.flatnonzero((images.labels == label) & (half == side))
            score[members] = _standardised(score[members])
    far = np.flatnonzero(~flat & (score > _LIMIT))
    found = np.concatenate([far[np.argsort(-score[far], kind="stable")], np.flatnonzero(flat)])
    small = [name for label, name in enumerate(images.class_names) if label not in models]
    section = {
        "far": len(far),
        "one_colour": int(flat.sum()),
        "too_small": small,
        "listed": [
            images.describe(i) | {"one_colour": bool(flat[i]), "score": float(score[i])}
            for i in found[:_LISTED].tolist()
        ],
    }
    suspects = [_suspect(images, i, bool(flat[i]), float(score[i])) for i in found.tolist()]
    return section, suspects, found[:_LISTED]


def _standardised(values: np.ndarray) -> np.ndarray:
    middle = np.median(values)
    spread: float = 1.4826 * np.median(np.abs(values - middle))
    standard: np.ndarray = (values - middle) / max(spread, _LEAST_SPREAD)
    return standard


class _Model:
    def __init__(self, features: np.ndarray) -> None:
        from sklearn.covariance import LedoitWolf

        self._fitted = LedoitWolf().fit(features)

    def score(self, features: np.ndarray) -> np.ndarray:
        """The logarithm of the squared distance, (n,)."""
        distances: np.ndarray = self._fitted.mahalanobis(features)
        logarithm: np.ndarray = np.log(np.maximum(distances, 1e-9))
        return logarithm


def _models(images: Collection, half: np.ndarray) -> dict[int, list[_Model]]:
    """Two models a large enough class, each of the other half: an image of its own model's would seem usual to it."""
    models = {}
    for label in range(len(images.class_names)):
        members = np.flatnonzero(images.labels == label)
        if len(members) >= _FEWEST and len(np.unique(half[members])) == 2:
            others = [members[half[members] != side][:_SAMPLE] for side in (0, 1)]
            models[label] = [_Model(np.concatenate([_features(images[p]) for p in _parts(some)])) for some in others]
    return models


def _parts(samples: np.ndarray) -> list[np.ndarray]:
    return np.array_split(samples, -(-len(samples) // 100))


def _features(images: np.ndarray) -> np.ndarray:
    return grids(images, _GRID, _GRID).reshape(len(images), -1)


def _suspect(images: Collection, i: int, flat: bool, score: float) -> Suspect:
    if flat:
        return Suspect(i, "one colour", "leave out", "nothing is to be seen on it")
    name = printable(images.class_names[images.labels[i]])
    return Suspect(i, "outlier", "look at it", f"{score:.0f} standard deviations farther from {name} than usual")
