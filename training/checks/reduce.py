"""Images averaged over a coarse grid of cells. Pure functions."""

from __future__ import annotations

import numpy as np


def cell_weights(size: int, cells: int) -> np.ndarray:
    """Return (cells, size) float32: row i averages the pixels that cell i covers, fractions of pixels included."""
    edges = np.linspace(0, size, cells + 1)
    pixels = np.arange(size)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights: np.ndarray = np.clip(covered, 0, None) * (cells / size)
    return weights.astype(np.float32)


def grids(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Average `images` (N, S, S, 3) uint8 over cells; return (N, 3, rows, columns) float32, 0..255."""
    size = images.shape[1]
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
    reduced: np.ndarray = cell_weights(size, rows) @ planes @ cell_weights(size, columns).T
    return reduced
