"""The label check: choose samples and folds, report wrong labels. `classifier` predicts, `labels` decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from training.checks import classifier
from training.checks.collection import Collection
from training.checks.labels import confident_learning
from training.config import Config
from training.data.exclusions import Suspect
from training.data.split import group_duplicates
from training.report.display import percent, printable

NOT_ASKED = "it trains networks, so it runs on request only (--check-labels, or python -m training check)"
_FEWEST = 20
"""Smallest number of images in a class: a held-out third of fewer shows too little."""
_LEAST_ACCURACY = 0.6
_LISTED = 1_000

Found = tuple[dict[str, Any], list[Suspect], np.ndarray]


def find(images: Collection, config: Config, state: Path) -> Found:
    """Train networks, predict held-out images and compare predictions with labels.

    Returns:
        The report's section (with `skipped` and a reason if the check isn't possible), the files whose label seems
        wrong, and the samples listed.
    """
    counts = np.bincount(images.labels, minlength=len(images.class_names))
    large = counts >= _FEWEST
    small = [name for name, enough in zip(images.class_names, large, strict=True) if not enough]
    if large.sum() < 2:
        return _skipped(f"it needs two classes of {_FEWEST} images or more")
    samples = np.flatnonzero(large[images.labels])
    probabilities = classifier.held_out(images, samples, folds(images, samples, config.seed), config, state)
    # The networks know nothing about classes that are too small, so their images and names are left out.
    labels = (np.cumsum(large) - 1)[images.labels[samples]]
    probabilities = probabilities[:, large]
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    if accuracy < _LEAST_ACCURACY:
        return _skipped(
            f"networks trained for it are right on {percent(accuracy)} of the images they haven't seen, too few to "
            "contradict a label"
        )
    wrong = confident_learning(probabilities, labels)
    names = [name for name, enough in zip(images.class_names, large, strict=True) if enough]
    listed = samples[wrong.samples]
    described = [
        (images.describe(i), names[other], float(probabilities[j, other]), float(probabilities[j, labels[j]]))
        for i, j, other in zip(listed.tolist(), wrong.samples.tolist(), wrong.suggested.tolist(), strict=True)
    ]
    section = {
        "images": len(samples),
        "accuracy": accuracy,
        "noise": wrong.noise,
        "suspects": len(listed),
        "too_small": small,
        "listed": [
            about | {"suggested": other, "confidence": said, "self_confidence": given}
            for about, other, said, given in described[:_LISTED]
        ],
    }
    suspects = [
        Suspect(i, "label", f"move to {printable(other)}", f"looks like {printable(other)} ({percent(said)})")
        for i, (_, other, said, _) in zip(listed.tolist(), described, strict=True)
    ]
    return section, suspects, listed[:_LISTED]


def folds(images: Collection, samples: np.ndarray, seed: int) -> np.ndarray:
    """Divide the samples into folds, (n,) int, each class evenly.

    Copies of an image go into the same fold: a network would know the label of a copy that it was trained on.
    """
    from sklearn.model_selection import StratifiedKFold

    number = np.empty(len(samples), np.int64)
    divided = StratifiedKFold(classifier.FOLDS, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(divided.split(samples, images.labels[samples])):
        number[held_out] = fold
    groups = group_duplicates(images.digests[samples])
    together: np.ndarray = number[np.unique(groups, return_index=True)[1]][groups]
    return together


def _skipped(reason: str) -> Found:
    return {"skipped": reason}, [], np.empty(0, np.int64)
