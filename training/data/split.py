"""Divide samples into parts: stratified, seeded, and with all copies of an image in one part. Pure functions."""

from __future__ import annotations

from collections import Counter

import numpy as np

from training.errors import DataError


def group_duplicates(digests: np.ndarray) -> np.ndarray:
    """Number the distinct rows of `digests` (N, B) in order of appearance; return (N,) int64."""
    view = np.ascontiguousarray(digests).view(f"V{digests.shape[1]}").ravel()
    _, first, inverse = np.unique(view, return_index=True, return_inverse=True)
    order = np.empty(len(first), np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[inverse]


def split(
    labels: np.ndarray, groups: np.ndarray, fractions: dict[str, float], class_names: list[str], seed: int
) -> dict[str, np.ndarray]:
    """Assign every sample to "train" or to one of the parts named in `fractions`.

    All samples of a group go to the same part. A group with several labels counts as one of its first sample's label.
    Every part gets at least one group of every class.

    Args:
        labels: (N,) int.
        groups: (N,) int, the same for duplicates.
        fractions: part name -> fraction of each class's groups.
        class_names: used in the error message.
        seed: the same seed gives the same parts.

    Returns:
        Part name -> sorted sample indices.

    Raises:
        DataError: a class has too few distinct images for every part to get one.
    """
    distinct, first = np.unique(groups, return_index=True)
    group_labels = labels[first]
    part_of_group = np.zeros(len(distinct), np.int64)
    rng = np.random.default_rng(seed)
    least = len(fractions) + 1
    for label, name in enumerate(class_names):
        members = rng.permutation(np.flatnonzero(group_labels == label))
        if len(members) < least:
            raise DataError(
                f"class {name!r} has {len(members)} usable distinct images; it needs {least}, "
                f"one each for train, {', '.join(fractions)}"
            )
        start = 0
        for part, fraction in enumerate(fractions.values(), 1):
            count = min(max(1, round(fraction * len(members))), len(members) - start - (least - part))
            part_of_group[members[start : start + count]] = part
            start += count
    parts = part_of_group[np.searchsorted(distinct, groups)]
    return {part: np.flatnonzero(parts == i) for i, part in enumerate(["train", *fractions])}


def label_conflicts(labels: np.ndarray, groups: np.ndarray) -> list[np.ndarray]:
    """Return the sample indices of each group whose samples have more than one label."""
    pairs = np.unique(np.stack([groups, labels], axis=1), axis=0)
    several = [group for group, count in Counter(pairs[:, 0].tolist()).items() if count > 1]
    order = np.argsort(groups, kind="stable")
    return [order[slice(*np.searchsorted(groups[order], [group, group + 1]))] for group in several]
