"""Find copies of images: with equal pixels, or saved again in another size, format or brightness."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.checks.collection import Collection
from training.checks.hashes import difference_hashes, near_pairs, standardised
from training.data.exclusions import Suspect
from training.data.split import group_duplicates
from training.report.display import printable

_MOST_BITS = 7
_GRID = 16
_MOST_DIFFERENCE = 0.15
"""Largest difference between two near copies, as a fraction of their contrast. A JPEG of quality 50 differs by 0.07
from its original, two handwritten digits of the same kind by 0.15 or more."""
_PAIRS_AT_ONCE = 2_000
_LISTED = 1_000


def find(images: Collection) -> tuple[dict[str, Any], list[Suspect], list[np.ndarray]]:
    """Group the duplicates of a collection.

    Returns:
        The report's section; the files to leave out; the groups that the section lists, as samples, with those that
        have several labels or lie in several parts first.
    """
    exact = group_duplicates(images.digests)
    firsts = np.unique(exact, return_index=True)[1]
    hashes, flat = _hashes(images)
    candidates = firsts[~flat[firsts]]
    pairs, ended_early = near_pairs(hashes[candidates], _MOST_BITS)
    pairs = _confirmed(images, candidates[pairs]) if len(pairs) else np.empty((0, 2), np.int64)

    groups = _components(exact, pairs)
    parts, labels = images.part_of, images.labels
    across = [len(np.unique(parts[group])) > 1 for group in groups]
    mixed = [len(np.unique(labels[group])) > 1 for group in groups]
    order = sorted(range(len(groups)), key=lambda i: (not mixed[i], not across[i], groups[i][0]))
    listed = [groups[i] for i in order]
    section = {
        "exact": len(images) - len(firsts),
        "near": sum(len(np.unique(exact[group])) - 1 for group in groups),
        "groups": len(groups),
        "across_parts": sum(across),
        "several_labels": sum(mixed),
        "ended_early": ended_early,
        "listed": [
            {
                "files": [images.describe(i) for i in group.tolist()],
                "equal": len(np.unique(exact[group])) == 1,
                "across_parts": across[i],
                "several_labels": mixed[i],
            }
            for i, group in zip(order[:_LISTED], listed, strict=False)
        ],
    }
    return section, [s for i in order for s in _suspects(images, groups[i], mixed[i])], listed[:_LISTED]


def _hashes(images: Collection) -> tuple[np.ndarray, np.ndarray]:
    hashes, flat = np.empty(len(images), np.uint64), np.empty(len(images), bool)
    for chunk in images.chunks():
        hashes[chunk], flat[chunk] = difference_hashes(images[chunk])
    return hashes, flat


def _confirmed(images: Collection, pairs: np.ndarray) -> np.ndarray:
    """Return the pairs whose pixels are similar too."""
    kept = []
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        some = pairs[start : start + _PAIRS_AT_ONCE]
        one, other = (standardised(images[some[:, side]], _GRID) for side in (0, 1))
        apart = np.sqrt(np.square(one - other).mean(axis=(1, 2)))
        kept.append(some[apart <= _MOST_DIFFERENCE])
    return np.concatenate(kept)


def _components(exact: np.ndarray, pairs: np.ndarray) -> list[np.ndarray]:
    """Return the samples of each group of two or more that equal pixels and `pairs` connect."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    groups = int(exact.max()) + 1
    ends = exact[pairs]
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(groups, groups))
    component = connected_components(graph, directed=False)[1][exact]
    order = np.argsort(component, kind="stable")
    starts = np.flatnonzero(np.diff(component[order], prepend=-1))
    return [group for group in np.split(order, starts[1:]) if len(group) > 1]


def _suspects(images: Collection, group: np.ndarray, mixed: bool) -> list[Suspect]:
    if mixed:
        names = ", ".join(printable(images.class_names[label]) for label in np.unique(images.labels[group]))
        return [Suspect(i, "several labels", "keep one, in the right class", f"copies are in: {names}") for i in group]
    # The last copy stays. Test images come last, so that the test data isn't changed.
    kept = group[-1]
    copies = [i for i in group[:-1] if images.option(i) == "data"]
    return [Suspect(i, "duplicate", "leave out", f"copy of ./{images.describe(kept)['file']}") for i in copies]
