"""Lay out an evaluation as a compact table for a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from training.report.display import decimal, percent, shorten
from training.report.figures import Evaluation
from training.report.metrics import wilson_interval

_LISTED_CLASSES = 20
_NAME_COLUMNS = 30
_FIGURES = ("precision", "recall", "f1", "auc")


def table(test: Evaluation) -> RenderableType:
    """Lay out the figures of each class and the averages; of more than 20 classes the 20 with the worst F1."""
    rows = list(test.per_class.items())
    hidden = len(rows) - _LISTED_CLASSES
    if hidden > 0:
        rows.sort(key=lambda row: 2.0 if row[1].f1 is None else row[1].f1)
        rows = rows[:_LISTED_CLASSES]
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("class", no_wrap=True)
    for name in ("precision", "recall", "F1", "AUC", "images"):
        grid.add_column(name, justify="right", no_wrap=True)
    for name, figures in rows:
        # Text, since a class may be called "[red]".
        label = Text(shorten(name, _NAME_COLUMNS))
        grid.add_row(label, *(decimal(getattr(figures, key)) for key in _FIGURES), f"{figures.images:,}")
    if hidden > 0:
        grid.add_row(Text(f"... {hidden} better ones", style="dim"))
    grid.add_section()
    for average in ("macro", "weighted"):
        values = (decimal(getattr(getattr(test, key), average)) for key in _FIGURES)
        grid.add_row(average, *values, f"{test.images:,}", style="bold")
    low, high = wilson_interval(test.accuracy, test.images)
    line = Text.assemble(
        ("accuracy ", ""),
        (percent(test.accuracy), "bold"),
        (f" (95% interval {percent(low)} to {percent(high)})", "dim"),
        f"   calibration error {decimal(test.ece)}",
    )
    return Group(grid, line)
