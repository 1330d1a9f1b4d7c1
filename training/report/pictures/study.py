"""Draw a search: its progress, the importance of the options, and what good trials have in common."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from training.report.document import Option
from training.report.pictures.style import BLUE, FAINT, GRID, ORANGE, SKY, VERMILION, canvas, captions, library, png
from training.report.study_document import Choices, Range, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def history(trials: list[Trial]) -> bytes:
    """Draw the validation loss of each trial in order, the best one so far, and the default configuration's.

    Args:
        trials: at least one is complete.
    """
    library()
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    complete = [trial for trial in trials if trial.state == "complete"]
    numbers, losses = [trial.number for trial in complete], [trial.val_loss or 0 for trial in complete]
    best = [min(losses[: i + 1]) for i in range(len(losses))]
    with canvas(8.4, 3.4) as figure:
        axes = figure.add_subplot()
        axes.scatter(numbers, losses, s=22, color=SKY, label="trial", zorder=2)
        axes.step(numbers, best, where="post", color=BLUE, label="best so far", zorder=3)
        default = next((trial.val_loss for trial in complete if trial.baseline), None)
        if default is not None:
            axes.axhline(default, color=ORANGE, linestyle=(0, (4, 3)), linewidth=1.4, label="default configuration")
        for state, marker in (("pruned", "|"), ("failed", "x")):
            ended = [trial.number for trial in trials if trial.state == state]
            if ended:
                # They have no loss, so they are drawn on the lower edge.
                edge = axes.get_xaxis_transform()
                colour = VERMILION if state == "failed" else FAINT
                axes.scatter(ended, [0.03] * len(ended), s=26, marker=marker, color=colour, transform=edge, label=state)
        if min(losses) > 0 and max(losses) > 10 * min(losses):
            axes.set_yscale("log")
            # Powers would be written as formulas, which this style doesn't support.
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("trial")
        axes.set_ylabel("validation loss")
        axes.grid(True)
        figure.legend(loc="outside upper left", ncols=5)
        return png(figure)


def importances(shares: dict[str, float]) -> bytes:
    """Draw the fraction of each option in the differences between trials; `shares` are by name."""
    names = sorted(shares, key=lambda name: shares[name])
    with canvas(8.4, 0.8 + 0.28 * len(names)) as figure:
        axes = figure.add_subplot()
        axes.barh(range(len(names)), [shares[name] for name in names], 0.72, color=BLUE)
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        for i, name in enumerate(names):
            text = f"{100 * shares[name]:.0f}%"
            axes.annotate(text, (shares[name], i), (4, 0), textcoords="offset points", va="center", color=FAINT)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.margins(x=0.08)
        return png(figure)


def parallel_coordinates(trials: list[Trial], space: dict[str, Choices | Range]) -> bytes:
    """Draw each trial as a line through its values, darker for a lower validation loss.

    Args:
        trials: complete trials with a value for every option of `space`.
        space: the options that were searched.
    """
    library()
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    # Coloured by rank: by loss, one bad trial would leave all others in one colour.
    worst_first = sorted(trials, key=lambda trial: -(trial.val_loss or 0))
    ranks = {trial.number: rank for rank, trial in enumerate(reversed(worst_first))}
    most, viridis = max(1, len(trials) - 1), colormaps["viridis"]
    names = list(space)
    with canvas(8.4, 3.8) as figure:
        axes = figure.add_subplot()
        for trial in worst_first:
            heights = [_height(space[name], trial.params[name]) for name in names]
            first = ranks[trial.number] == 0
            colour = VERMILION if first else viridis(ranks[trial.number] / most)
            axes.plot(
                range(len(names)), heights, color=colour, linewidth=2.4 if first else 1.1, alpha=1 if first else 0.75
            )
        _axes(axes, names, space)
        bar = figure.colorbar(ScalarMappable(Normalize(0, most), viridis), ax=axes, shrink=0.8, aspect=24, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_ticks([0, most], labels=["best", "worst"])
        return png(figure)


def _height(dimension: Choices | Range, value: Option) -> float:
    """Return where a value lies on its axis, from 0 to 1."""
    if isinstance(dimension, Choices):
        choices = dimension.choices
        return 0.5 if len(choices) == 1 else float(choices.index(value) / (len(choices) - 1))
    low, high, position = dimension.low, dimension.high, float(value or 0)
    if dimension.log:
        low, high, position = math.log(low), math.log(high), math.log(position)
    return float((position - low) / (high - low))


def _axes(axes: Axes, names: list[str], space: dict[str, Choices | Range]) -> None:
    for x, name in enumerate(names):
        axes.axvline(x, color=GRID, linewidth=1, zorder=0)
        dimension = space[name]
        values = dimension.choices if isinstance(dimension, Choices) else [dimension.low, dimension.high]
        texts = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in values]
        for value, text in zip(values, captions(texts, 12), strict=True):
            axes.annotate(
                text,
                (x, _height(dimension, value)),
                (2, 0),
                textcoords="offset points",
                fontsize=7,
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.8},
                zorder=5,
            )
    axes.set_xticks(range(len(names)), [name.replace("_", "\n") for name in names], fontsize=8)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.margins(x=0.04, y=0.05)
