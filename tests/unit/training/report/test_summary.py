"""The table on screen."""

from __future__ import annotations

import io
import re

from rich.console import Console

from tests.reports import evaluation
from training.report import display, summary
from training.report.figures import Evaluation

HOSTILE = ["<script>alert(1)</script>", "\"quoted\" & 'so'", "[red]$x^2$", "a\nb\x1b[31m", "番茄叶片", "</style>"]


def on_screen(test: Evaluation) -> str:
    console = Console(width=80, file=io.StringIO(), highlight=False)
    console.print(summary.table(test))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_fits_80_columns_and_shows_hostile_names_as_they_are() -> None:
    shown = on_screen(evaluation([*HOSTILE, "x" * 255, "番" * 99]))

    assert max(display.columns(line) for line in shown.splitlines()) <= 80
    assert "…" in shown
    assert shown.count("[red]$x^2$") == 1
    assert "a\\nb\\x1b[31m" in shown
    for header in ("class", "precision", "recall", "F1", "AUC", "images", "macro", "weighted"):
        assert len(re.findall(rf"\b{header}\b", shown)) == 1


def test_the_table_lists_the_twenty_worst_of_many_classes() -> None:
    test = evaluation([f"class-{i:02d}" for i in range(33)])
    shown = on_screen(test)

    worst = sorted(figures.f1 or 0 for figures in test.per_class.values())[:20]
    listed = [line.split()[3] for line in shown.splitlines() if line.strip().startswith("class-")]
    assert listed == [f"{value:.3f}" for value in worst]
    assert "13 better ones" in shown


def test_the_table_shows_the_averages_and_the_accuracy() -> None:
    test = evaluation(["cat", "dog"])
    shown = on_screen(test)

    macro = next(line for line in shown.splitlines() if line.strip().startswith("macro"))
    averages = [f"{average.macro:.3f}" for average in (test.precision, test.recall, test.f1, test.auc)]
    assert macro.split() == ["macro", *averages, "24"]
    assert f"accuracy {100 * test.accuracy:.1f}%" in shown
