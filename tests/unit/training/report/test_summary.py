"""The table on screen."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from rich.console import Console

from training.report import display, metrics, summary

HOSTILE = ["<script>alert(1)</script>", "\"quoted\" & 'so'", "[red]$x^2$", "a\nb\x1b[31m", "番茄叶片", "</style>"]


def an_evaluation(class_names: list[str]) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(len(class_names)), 12)
    probabilities = rng.dirichlet(np.ones(len(class_names)), len(labels)) * 0.6
    probabilities[np.arange(len(labels)), labels] += 0.4
    return {"test": metrics.evaluate(labels, probabilities, class_names)}


def on_screen(content: dict[str, Any]) -> str:
    console = Console(width=80, file=io.StringIO(), highlight=False)
    console.print(summary.table(content))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_fits_80_columns_and_shows_hostile_names_as_they_are() -> None:
    shown = on_screen(an_evaluation([*HOSTILE, "x" * 255, "番" * 99]))

    assert max(display.columns(line) for line in shown.splitlines()) <= 80
    assert "…" in shown
    assert shown.count("[red]$x^2$") == 1
    assert "a\\nb\\x1b[31m" in shown
    for header in ("class", "precision", "recall", "F1", "AUC", "images", "macro", "weighted"):
        assert len(re.findall(rf"\b{header}\b", shown)) == 1


def test_the_table_lists_the_twenty_worst_of_many_classes() -> None:
    content = an_evaluation([f"class-{i:02d}" for i in range(33)])
    shown = on_screen(content)

    worst = sorted(figures["f1"] for figures in content["test"]["per_class"].values())[:20]
    listed = [line.split()[3] for line in shown.splitlines() if line.strip().startswith("class-")]
    assert listed == [f"{value:.3f}" for value in worst]
    assert "13 better ones" in shown


def test_the_table_shows_the_averages_and_the_accuracy() -> None:
    content = an_evaluation(["cat", "dog"])
    shown = on_screen(content)

    macro = next(line for line in shown.splitlines() if line.strip().startswith("macro"))
    averages = [f"{content['test'][key]['macro']:.3f}" for key in ("precision", "recall", "f1", "auc")]
    assert macro.split() == ["macro", *averages, "24"]
    assert f"accuracy {100 * content['test']['accuracy']:.1f}%" in shown
