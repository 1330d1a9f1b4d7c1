"""Write study.json, the pictures and report.html of a study, a page that needs no other file."""

from __future__ import annotations

from pathlib import Path

from training.report import html
from training.report.pictures import study as pictures
from training.report.study_document import StudyReport, Trial
from training.tune import record, table


def write(out: Path, report: StudyReport) -> Path:
    """Write `report` as study.json, NAME.png and report.html into `out`; return the path of the page."""
    record.write(out, report)
    drawn = draw(report)
    for name, png in drawn.items():
        record.replace(out / f"{name}.png", png)
    path = out / "report.html"
    record.replace(path, render(report, drawn).encode("utf-8", "backslashreplace"))
    return path


def draw(report: StudyReport) -> dict[str, bytes]:
    """Return the pictures that can be drawn from the trials so far."""
    complete = [trial for trial in report.trials if trial.state == "complete"]
    drawn = {}
    if complete:
        drawn["history"] = pictures.history(report.trials)
    if report.importances:
        drawn["importances"] = pictures.importances(report.importances)
    searched = [trial for trial in complete if set(trial.params) >= set(report.space)]
    if len(searched) > 1:
        drawn["parallel_coordinates"] = pictures.parallel_coordinates(searched, report.space)
    return drawn


def render(report: StudyReport, drawn: dict[str, bytes]) -> str:
    """Return the page."""
    by_number: dict[int | None, Trial] = {trial.number: trial for trial in report.trials}
    return html.template("study.html.j2").render(
        **vars(report),
        ranked=table.ranked(report.trials),
        best_trial=by_number.get(report.best),
        default_trial=by_number.get(report.baseline),
        settings=table.settings,
        text=table.value_text,
        pictures={name: html.picture(png) for name, png in drawn.items()},
    )
