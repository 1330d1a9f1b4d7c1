"""Draw which classes are predicted as which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.report.pictures.style import INK, as_percent, canvas, captions, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NUMBERED_CLASSES = 20


def confusion_matrix(matrix: list[list[int]], class_names: list[str]) -> bytes:
    """Draw the counts `matrix[true][predicted]`, coloured by the share of the true class."""
    counts = np.asarray(matrix)
    classes = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = captions(class_names, 22 if classes <= 40 else 14)
    size = float(np.clip(0.42 * classes, 3.2, 10.5))
    font = float(np.clip(0.6 * 72 * size / classes, 4, 9))
    with canvas(size + 2.4, size + 1.4) as figure:
        axes = figure.add_subplot()
        drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        bar = figure.colorbar(drawn, ax=axes, shrink=0.6, aspect=24, pad=0.02, label="share of the true class")
        bar.outline.set_visible(False)
        as_percent(bar.ax, "y")
        every = -(-classes // 110)
        upright = classes <= 3 and max(map(len, names)) <= 14
        axes.set_xticks(
            range(0, classes, every),
            names[::every],
            fontsize=font,
            rotation=0 if upright else 90 if classes > 20 else 40,
            ha="center" if upright or classes > 20 else "right",
            rotation_mode="default" if upright or classes > 20 else "anchor",
        )
        axes.set_yticks(range(0, classes, every), names[::every], fontsize=font)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xticks(np.arange(classes - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(classes - 1) + 0.5, minor=True)
        axes.grid(
            which="minor",
            color="white" if classes <= 40 else "#f2f5f8",
            linewidth=1.5 if classes <= 40 else 0.4,
        )
        axes.tick_params(which="minor", length=0)
        if classes <= _NUMBERED_CLASSES:
            _write_counts(axes, counts, shares)
        return png(figure)


def _write_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    roomy = len(counts) <= 4
    for row, column in np.argwhere(counts | roomy):
        text = f"{counts[row, column]:,}" + (f"\n{100 * shares[row, column]:.1f}%" if roomy else "")
        colour = "white" if shares[row, column] > 0.55 else INK
        size = 10 if roomy else 8 if len(text) < 5 else 6
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
