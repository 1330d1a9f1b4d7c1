"""Draw grids of images, each with a caption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from training.report.pictures.style import INK, VERMILION, canvas, captions, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 8
_WIDTH = 8.4


def sample_images(images: np.ndarray, labels: Sequence[int] | np.ndarray, class_names: list[str]) -> bytes:
    """Show images as the network sees them, augmented, each with its class.

    Args:
        images: (N, S, S, 3) uint8; up to 32 make a good picture.
        labels: (N,) int, indices into `class_names`.
        class_names: in label order.
    """
    names = captions(class_names, 15)
    with canvas(_WIDTH, _height(len(images), lines=1)) as figure:
        for axes, label in zip(_grid(figure, images), labels, strict=True):
            axes.set_xlabel(names[label], fontsize=7.5)
        return png(figure)


def mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    confidence: np.ndarray,
    class_names: list[str],
) -> bytes:
    """Show wrongly classified images: the predicted class with its confidence, then the true one.

    Args:
        images: (N, S, S, 3) uint8.
        labels: (N,) int, the truth.
        predicted: (N,) int.
        confidence: (N,) float, the probability of the predicted class.
        class_names: in label order.
    """
    names = captions(class_names, 11)
    with canvas(_WIDTH, _height(len(images), lines=2)) as figure:
        for axes, true, said, score in zip(_grid(figure, images), labels, predicted, confidence, strict=True):
            said_so = f"{names[said]} {100 * score:.0f}%"
            axes.set_title(said_so, fontsize=7, fontweight="normal", color=VERMILION, loc="center", pad=3)
            axes.set_xlabel(f"is {names[true]}", fontsize=7, labelpad=3)
        return png(figure)


def explanations(
    images: np.ndarray,
    overlays: list[np.ndarray],
    labels: np.ndarray,
    predicted: np.ndarray,
    confidence: np.ndarray,
    class_names: list[str],
) -> bytes:
    """Show images with their true classes, each beside a heat map with the prediction and its confidence.

    Args:
        images: (N, S, S, 3) uint8.
        overlays: for each image (T, T, 3) uint8, with the heat map of its predicted class.
        labels: (N,) int, the truth.
        predicted: (N,) int.
        confidence: (N,) float, the probability of the predicted class.
        class_names: in label order.
    """
    names = captions(class_names, 11)
    pairs = [picture for pair in zip(images, overlays, strict=True) for picture in pair]
    with canvas(_WIDTH, _height(len(pairs), lines=1)) as figure:
        grid = _grid(figure, pairs)
        for i, (true, said, score) in enumerate(zip(labels, predicted, confidence, strict=True)):
            plain: dict[str, Any] = {"fontsize": 7, "fontweight": "normal", "loc": "center", "pad": 3}
            grid[2 * i].set_title(f"is {names[true]}", **plain)
            colour = INK if said == true else VERMILION
            grid[2 * i + 1].set_title(f"{names[said]} {100 * score:.0f}%", color=colour, **plain)
        return png(figure)


def captioned(images: np.ndarray, above: list[str], below: list[str]) -> bytes:
    """Show images, each with a line above and one below it; `images` is (N, S, S, 3) uint8."""
    with canvas(_WIDTH, _height(len(images), lines=2)) as figure:
        for axes, title, label in zip(_grid(figure, images), above, below, strict=True):
            axes.set_title(title, fontsize=7, fontweight="normal", color=VERMILION, loc="center", pad=3)
            axes.set_xlabel(label, fontsize=7, labelpad=3)
        return png(figure)


def _height(images: int, lines: int) -> float:
    rows = -(-images // _COLUMNS)
    return rows * (_WIDTH / _COLUMNS + 0.17 * lines) + 0.1


def _grid(figure: Figure, images: Sequence[np.ndarray] | np.ndarray) -> list[Axes]:
    rows = -(-len(images) // _COLUMNS)
    cells = figure.add_gridspec(rows, _COLUMNS)
    grid = []
    for i, image in enumerate(images):
        axes = figure.add_subplot(cells[divmod(i, _COLUMNS)])
        axes.imshow(image, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        grid.append(axes)
    return grid
