"""Divide samples into parts: stratified, seeded, and with all copies of an image in one part. Pure functions."""

from __future__ import annotations

import re
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
        DataError: classes have too few distinct images or groups for every part to get one; all are named.
    """
    distinct, first = np.unique(groups, return_index=True)
    group_labels = labels[first]
    part_of_group = np.zeros(len(distinct), np.int64)
    rng = np.random.default_rng(seed)
    least = len(fractions) + 1
    for label in range(len(class_names)):
        members = rng.permutation(np.flatnonzero(group_labels == label))
        start = 0
        for part, fraction in enumerate(fractions.values(), 1):
            count = max(0, min(max(1, round(fraction * len(members))), len(members) - start - (least - part)))
            part_of_group[members[start : start + count]] = part
            start += count
    parts = part_of_group[np.searchsorted(distinct, groups)]
    indices = {part: np.flatnonzero(parts == i) for i, part in enumerate(["train", *fractions])}
    _refuse_missing_classes(labels, groups, indices, class_names)
    return indices


def _refuse_missing_classes(
    labels: np.ndarray, groups: np.ndarray, indices: dict[str, np.ndarray], class_names: list[str]
) -> None:
    every = set(range(len(class_names)))
    lacking = {part: sorted(every - set(labels[chosen].tolist())) for part, chosen in indices.items()}
    missing = sorted({label for found in lacking.values() for label in found})
    if not missing:
        return
    counts = {label: len(np.unique(groups[labels == label])) for label in missing}
    few = [f"{class_names[label]!r} has {count}" for label, count in counts.items() if count < len(indices)]
    if few:
        raise DataError(
            f"too few distinct images (with --group: groups): class {', '.join(few)}; each needs {len(indices)}, "
            f"one each for {', '.join(indices)}; add images, or leave such classes out by --min-images {len(indices)}"
        )
    part, found = next((part, found) for part, found in lacking.items() if found)
    raise DataError(f"no group of class {class_names[found[0]]!r} came into the part {part}; try another --seed")


def folds(labels: np.ndarray, groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Divide the samples into `count` folds of about the same size, (N,) int; each class evenly, groups undivided.

    Args:
        labels: (N,) int.
        groups: (N,) int, the same for samples that must stay together; the first sample's label counts for all.
        count: the number of folds.
        seed: the same seed gives the same folds.
    """
    distinct, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(distinct))
    # Dealt like cards, class after class, so that single images of small classes don't all come into the first fold.
    order = order[np.argsort(labels[first][order], kind="stable")]
    fold = np.empty(len(distinct), np.int64)
    fold[order] = np.arange(len(distinct)) % count
    dealt: np.ndarray = fold[group_of]
    return dealt


def groups_of(files: list[str], pattern: str) -> list[str | None]:
    """Return the groups that the paths of `files` name; None for a file without one.

    Args:
        files: paths that begin with the class.
        pattern: "folder" for the folder below the class folder, or a regular expression (`Config.group`).
    """
    return [_group_of(file, pattern) for file in files]


def number_groups(names: list[str | None]) -> np.ndarray:
    """Number the groups, (N,) int64; a sample without one is a group of its own."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name or f"\0{i}", len(numbers)) for i, name in enumerate(names)])


def _group_of(file: str, pattern: str) -> str | None:
    if pattern == "folder":
        below = file.split("/")[1:]
        return below[0] if len(below) > 1 else None
    found = re.search(pattern, file)
    return found[1 if found.re.groups else 0] if found else None


def join_groups(groups: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Number the samples, (N,) int64, so that those with one group in common, even by way of others, share a number."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    most = int(groups.max()) + 1
    nodes = most + int(others.max()) + 1
    edges = coo_array((np.ones(len(groups), bool), (groups, most + others)), shape=(nodes, nodes))
    joined: np.ndarray = connected_components(edges, directed=False)[1][groups]
    return joined.astype(np.int64)


def label_conflicts(labels: np.ndarray, groups: np.ndarray) -> list[np.ndarray]:
    """Return the sample indices of each group whose samples have more than one label."""
    pairs = np.unique(np.stack([groups, labels], axis=1), axis=0)
    several = [group for group, count in Counter(pairs[:, 0].tolist()).items() if count > 1]
    order = np.argsort(groups, kind="stable")
    return [order[slice(*np.searchsorted(groups[order], [group, group + 1]))] for group in several]
