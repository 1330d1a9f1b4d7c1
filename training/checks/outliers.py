"""Find images that differ from the others of their class in colours and coarse shape, and images of one colour."""

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
"""How many images of half a class its mean and covariance are computed from, at most."""
_FEWEST = 30
_LIMIT = 6.0
"""Robust standard deviations of the logarithm of the distance; one in 10^9 exceeds it in a normal distribution."""
_LEAST_SPREAD = 0.1
"""Smallest spread of a class. If its images are all alike, one at twice the usual distance is no outlier yet."""
_LISTED = 500


def find(images: Collection, seed: int) -> tuple[dict[str, Any], list[Suspect], np.ndarray]:
    """Find the images that are far from their class.

    An image is reduced to 8 x 8 cells of three colours. Its distance from its class is the Mahalanobis distance, with
    the covariance of Ledoit and Wolf (2004) of the half of the class that it isn't in. It is far if the distance is
    more than 6 robust standard deviations above the class's median. Classes of fewer than 30 images are skipped.

    Returns:
        The report's section; the files to leave out; the samples listed, the farthest first.
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
        """Return the logarithm of the squared distance, (n,)."""
        distances: np.ndarray = self._fitted.mahalanobis(features)
        logarithm: np.ndarray = np.log(np.maximum(distances, 1e-9))
        return logarithm


def _models(images: Collection, half: np.ndarray) -> dict[int, list[_Model]]:
    """Return two models for each large enough class, so that none scores the images it was made from."""
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
        return Suspect(i, "one colour", "leave out", "it shows nothing but one colour")
    name = printable(images.class_names[images.labels[i]])
    return Suspect(i, "outlier", "look at it", f"{score:.0f} standard deviations farther from {name} than usual")
