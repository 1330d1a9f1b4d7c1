"""Draw grids of images, each with a caption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.report.pictures.style import INK, VERMILION, canvas, captions, png

_COLUMNS = 8
_WIDTH, _GAP, _LINE = 8.4, 0.04, 0.17
"""Of the picture, around an image, and of a line of text, in inches."""


def sample_images(images: np.ndarray, labels: Sequence[int] | np.ndarray, class_names: list[str]) -> bytes:
    """Show images as the network sees them, augmented, each with its class.

    Args:
        images: (N, S, S, 3) uint8; up to 32 make a good picture.
        labels: (N,) int, indices into `class_names`.
        class_names: in label order.
    """
    names = captions(class_names, 15)
    return _grid(images, below=[names[label] for label in labels])


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
    above = [f"{names[said]} {100 * score:.0f}%" for said, score in zip(predicted, confidence, strict=True)]
    return captioned(images, above, [f"is {names[true]}" for true in labels])


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
    above: list[str] = []
    colours: list[str] = []
    for true, said, score in zip(labels, predicted, confidence, strict=True):
        above += [f"is {names[true]}", f"{names[said]} {100 * score:.0f}%"]
        colours += [INK, INK if said == true else VERMILION]
    return _grid([picture for pair in zip(images, overlays, strict=True) for picture in pair], above, colours=colours)


def captioned(images: np.ndarray, above: list[str], below: list[str]) -> bytes:
    """Show images, each with a line above and one below it; `images` is (N, S, S, 3) uint8."""
    return _grid(images, above, below, [VERMILION] * len(images))


def _grid(
    images: Sequence[np.ndarray] | np.ndarray,
    above: Sequence[str] = (),
    below: Sequence[str] = (),
    colours: Sequence[str] = (),
) -> bytes:
    """Draw images in rows, with lines of text; `colours` are of the lines above. Axes for each would take a second."""
    side = _WIDTH / _COLUMNS
    row_height = side + _LINE * (bool(above) + bool(below))
    height = row_height * -(-len(images) // _COLUMNS)
    with canvas(_WIDTH, height) as figure:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, _WIDTH), ylim=(height, 0))
        axes.set_axis_off()
        for i, image in enumerate(images):
            row, column = divmod(i, _COLUMNS)
            left, top = column * side + _GAP, row * row_height + _LINE * bool(above) + _GAP
            right, bottom = left + side - 2 * _GAP, top + side - 2 * _GAP
            axes.imshow(image, interpolation="nearest", aspect="auto", extent=(left, right, bottom, top))
            if above:
                axes.text((left + right) / 2, top - _GAP, above[i], color=colours[i], size=7, ha="center", va="bottom")
            if below:
                axes.text((left + right) / 2, bottom + _GAP, below[i], size=7, ha="center", va="top")
        return png(figure)
