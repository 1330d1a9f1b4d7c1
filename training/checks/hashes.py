"""64-bit hashes that stay nearly the same when an image is saved anew, and pairs of them that are close."""

from __future__ import annotations

import numpy as np

from training.checks.reduce import grids

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_MARGIN = 1.0
"""Grey levels by which a cell must be darker than its right neighbour for a 1: an even background, whose order of cells
is a matter of JPEG's rounding, gives zeros."""
_FLAT = 2.0
_NEIGHBOURS = 8
_MOST_PAIRS_AN_IMAGE = 10


def difference_hashes(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hash images by which of neighbouring cells is darker (dHash, N. Krawetz, 2013).

    Args:
        images: (N, S, S, 3) uint8.

    Returns:
        (N,) uint64, one bit for each of 8 x 8 pairs of cells; (N,) bool, true for images of (nearly) one grey, whose
        hash says nothing.
    """
    grey = _grey(images, 8, 9)
    bits = np.diff(grey, axis=2) > _MARGIN
    hashes = np.packbits(bits.reshape(len(images), 64), axis=1).view(np.uint64).ravel()
    return hashes, grey.std(axis=(1, 2)) < _FLAT


def standardised(images: np.ndarray, cells: int) -> np.ndarray:
    """Return images as (N, cells, cells) grey levels with mean 0 and deviation 1: brightness and contrast are out."""
    grey = _grey(images, cells, cells)
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    deviation: np.ndarray = grey.std(axis=(1, 2), keepdims=True)
    even: np.ndarray = grey / np.maximum(deviation, 1e-6)
    return even


def _grey(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(N, rows, columns). Colour stays out: JPEG keeps little of it."""
    grey: np.ndarray = np.tensordot(grids(images, rows, columns), _LUMA, axes=([1], [0]))
    return grey


def near_pairs(hashes: np.ndarray, most_bits: int) -> tuple[np.ndarray, bool]:
    """Find pairs of hashes that differ in at most `most_bits` bits.

    The hashes are turned by 0 to 63 bits and sorted each time; each is compared with the next 8. Of two that differ in
    few bits, some turn puts the equal ones first, which makes them neighbours. The work grows as N log N, the memory as
    N. A pair whose hashes many others share can be missed; the others lie in between.

    Args:
        hashes: (N,) uint64.

    Returns:
        (M, 2) indices, the smaller first, sorted; and whether the search ended early because everything is like
        everything else (over 10 pairs an image).
    """
    count = len(hashes)
    pairs = np.empty(0, np.int64)
    for turn in range(64):
        turned = hashes << np.uint64(turn) | hashes >> np.uint64(64 - turn) if turn else hashes
        order = np.argsort(turned, kind="stable")
        ranked = hashes[order]
        found = [pairs]
        for step in range(1, min(_NEIGHBOURS, count - 1) + 1):
            close = np.flatnonzero(np.bitwise_count(ranked[step:] ^ ranked[:-step]) <= most_bits)
            one, other = order[close], order[close + step]
            found.append(np.minimum(one, other) * count + np.maximum(one, other))
        pairs = np.unique(np.concatenate(found))
        if len(pairs) > _MOST_PAIRS_AN_IMAGE * count:
            return _unpacked(pairs, count), True
    return _unpacked(pairs, count), False


def _unpacked(pairs: np.ndarray, count: int) -> np.ndarray:
    return np.stack(np.divmod(pairs, max(count, 1)), axis=1)
