"""Draw how many images each class has in each part of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.report.pictures.style import FAINT, GRID, PART_COLOURS, canvas, captions, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMED_CLASSES = 40


def class_balance(splits: dict[str, dict[str, int]], class_names: list[str]) -> bytes:
    """Draw one bar per class, stacked from its images in each part.

    Up to 40 classes are in label order, with their names; more are sorted by size, without names.

    Args:
        splits: part ("train", "validation", "test") -> class name -> images.
        class_names: in label order.
    """
    totals = [sum(counts.get(name, 0) for counts in splits.values()) for name in class_names]
    if len(class_names) <= _NAMED_CLASSES:
        with canvas(8.4, 1.1 + 0.26 * len(class_names)) as figure:
            axes = figure.add_subplot()
            _stack(axes, splits, class_names, horizontal=True)
            axes.set_yticks(range(len(class_names)), captions(class_names, 28))
            axes.invert_yaxis()
            for i, total in enumerate(totals):
                axes.annotate(f"{total:,}", (total, i), (4, 0), textcoords="offset points", va="center", color=FAINT)
            axes.margins(x=0.08, y=0.02)
            axes.set_xlabel("images")
            return _finished(axes)
    with canvas(8.4, 3.2) as figure:
        axes = figure.add_subplot()
        by_size = [name for _, name in sorted(zip(totals, class_names, strict=True), reverse=True)]
        _stack(axes, splits, by_size, horizontal=False)
        axes.set_xticks([])
        axes.set_xlabel(f"{len(class_names)} classes, largest to smallest")
        axes.set_ylabel("images")
        axes.margins(x=0.01)
        return _finished(axes)


def _stack(axes: Axes, splits: dict[str, dict[str, int]], class_names: list[str], horizontal: bool) -> None:
    start = [0] * len(class_names)
    for part, counts in splits.items():
        values = [counts.get(name, 0) for name in class_names]
        positions, colour = range(len(class_names)), PART_COLOURS.get(part, FAINT)
        if horizontal:
            axes.barh(positions, values, 0.72, start, color=colour, label=part)
        else:
            axes.bar(positions, values, 1.0, start, color=colour, label=part)
        start = [a + b for a, b in zip(start, values, strict=True)]
    axes.grid(True, axis="x" if horizontal else "y", color=GRID)


def _finished(axes: Axes) -> bytes:
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.legend(loc="outside upper left", ncols=3)
    return png(figure)
