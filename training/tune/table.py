"""Show trials on a terminal: a line as each ends, and a table of the best."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from training.report import display
from training.report.study_document import StudyReport, Trial

_LISTED = 10


def line(trial: Trial) -> str:
    """Return an ended trial as one line."""
    if trial.state == "failed":
        outcome = f"failed: {trial.error}"
    elif trial.state == "pruned":
        outcome = f"pruned after epoch {trial.epochs}"
    else:
        outcome = (
            f"val_loss {trial.val_loss:.4f}  val_accuracy {trial.val_accuracy:.4f}  "
            f"best epoch {trial.best_epoch} of {trial.epochs}"
        )
    return f"Trial {trial.number:3}  {outcome}  {settings(trial)}"


def settings(trial: Trial) -> str:
    """Return the parameters of a trial in a few words."""
    chosen = ", ".join(f"{name} {value_text(value)}" for name, value in trial.params.items())
    if trial.baseline:
        return f"the default: {chosen}" if chosen else "the default"
    return chosen


def value_text(value: Any) -> str:
    """Return the value of a parameter with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def ranked(trials: list[Trial]) -> list[Trial]:
    """Return the trials sorted: the complete ones by validation loss, then the others by number."""
    return sorted(trials, key=lambda trial: (trial.state != "complete", trial.val_loss or 0, trial.number))


def table(report: StudyReport) -> RenderableType:
    """Lay out the ten best trials and the default configuration, and say how the two compare."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("trial", "val_loss", "val_accuracy", "epoch", "time"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("parameters", overflow="fold")
    complete = [trial for trial in ranked(report.trials) if trial.state == "complete"]
    shown = complete[:_LISTED] + [trial for trial in complete[_LISTED:] if trial.baseline]
    for trial in shown:
        grid.add_row(
            str(trial.number),
            f"{trial.val_loss:.4f}",
            display.percent(trial.val_accuracy),
            f"{trial.best_epoch}/{trial.epochs}",
            display.duration(trial.seconds or 0),
            Text(settings(trial)),
            style="bold" if trial.number == report.best else None,
        )
    states = [trial.state for trial in report.trials]
    counts = ", ".join(
        f"{states.count(state)} {state}" for state in ("complete", "pruned", "failed") if state in states
    )
    return Group(grid, Text(f"{counts or 'no trials'}. {report.comparison.text}"))
