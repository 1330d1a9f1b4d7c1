"""Draw the course of a training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.report.pictures.style import FAINT, PART_COLOURS, as_percent, canvas, library, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PREFIXES = {"train": "", "validation": "val_"}


def learning_curves(history: dict[str, list[float]], best_epoch: int, phases: Sequence[int] = ()) -> bytes:
    """Draw loss, accuracy and learning rate over the epochs.

    Args:
        history: "loss", "accuracy", "val_loss", "val_accuracy" and "learning_rate", one value per epoch;
            any may be missing, and NaN is left blank.
        best_epoch: the epoch whose weights were kept, counted from 1.
        phases: the epochs after which another phase began.
    """
    library()
    from matplotlib.ticker import MaxNLocator

    with canvas(8.4, 4.4) as figure:
        grid = figure.add_gridspec(2, 2, height_ratios=(3, 1))
        loss = figure.add_subplot(grid[0, 0])
        accuracy = figure.add_subplot(grid[0, 1], sharex=loss)
        rate = figure.add_subplot(grid[1, :], sharex=loss)
        for axes, quantity in ((loss, "loss"), (accuracy, "accuracy")):
            for part, prefix in _PREFIXES.items():
                if prefix + quantity in history:
                    _curve(axes, history[prefix + quantity], PART_COLOURS[part], part)
        _curve(rate, history.get("learning_rate", []), FAINT, "learning rate")
        for axes, title in ((loss, "Loss"), (accuracy, "Accuracy"), (rate, "Learning rate")):
            axes.set_title(title)
            axes.grid(True)
            axes.axvline(best_epoch, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), label="best epoch")
            for i, epoch in enumerate(phases):
                axes.axvline(epoch + 0.5, color=FAINT, linewidth=1, label="next phase" if i == 0 else None)
        loss.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        rate.set_xlabel("epoch")
        as_percent(accuracy, "y")
        loss.legend()
        return png(figure)


def _curve(axes: Axes, values: list[float], colour: str, label: str) -> None:
    marker = "o" if len(values) <= 30 else ""
    epochs = range(1, len(values) + 1)
    axes.plot(epochs, values, color=colour, label=label, marker=marker, markersize=3.5)
