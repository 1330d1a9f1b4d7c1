"""Compute 64-bit hashes that hardly change when an image is saved again, and find close pairs of them."""

from __future__ import annotations

import numpy as np

from training.checks.reduce import grids

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_MARGIN = 1.0
"""A bit is 1 if a cell is darker than its right neighbour by more grey levels than this. So a uniform background gives
zeros, whatever JPEG's rounding does."""
_FLAT = 2.0
_NEIGHBOURS = 8
_MOST_PAIRS_AN_IMAGE = 10


def difference_hashes(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hash images by comparing neighbouring cells (dHash, N. Krawetz, 2013).

    Args:
        images: (N, S, S, 3) uint8.

    Returns:
        (N,) uint64, one bit for each of 8 x 8 pairs of cells; (N,) bool, true for images of nearly one grey level,
        whose hash is meaningless.
    """
    grey = _grey(images, 8, 9)
    bits = np.diff(grey, axis=2) > _MARGIN
    hashes = np.packbits(bits.reshape(len(images), 64), axis=1).view(np.uint64).ravel()
    return hashes, grey.std(axis=(1, 2)) < _FLAT


def standardised(images: np.ndarray, cells: int) -> np.ndarray:
    """Return images as (N, cells, cells) grey levels with mean 0 and deviation 1, free of brightness and contrast."""
    grey = _grey(images, cells, cells)
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    deviation: np.ndarray = grey.std(axis=(1, 2), keepdims=True)
    even: np.ndarray = grey / np.maximum(deviation, 1e-6)
    return even


def _grey(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return grey levels, (N, rows, columns). Colour is ignored, because JPEG keeps little of it."""
    grey: np.ndarray = np.tensordot(grids(images, rows, columns), _LUMA, axes=([1], [0]))
    return grey


def near_pairs(hashes: np.ndarray, most_bits: int) -> tuple[np.ndarray, bool]:
    """Find pairs of hashes that differ in at most `most_bits` bits.

    The hashes are rotated by 0 to 63 bits and sorted each time; each is compared with the next 8. If two differ in few
    bits, some rotation puts equal bits first, which makes the two neighbours. Time grows as N log N, memory as N. A
    pair can be missed if many other hashes sort between its two.

    Args:
        hashes: (N,) uint64.

    Returns:
        (M, 2) indices, the smaller first, sorted; and whether the search stopped early because too many images are
        alike (over 10 pairs per image).
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
