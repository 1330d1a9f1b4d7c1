"""Write study.json, the pictures and report.html of a study: one page that needs no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.report import html
from training.report.pictures import study as pictures
from training.tune import record, table


def write(out: Path, content: dict[str, Any]) -> Path:
    """Write `content` as study.json, NAME.png and report.html into `out`; returns the page's path."""
    record.write(out, content)
    drawn = draw(content)
    for name, png in drawn.items():
        record.replace(out / f"{name}.png", png)
    path = out / "report.html"
    record.replace(path, render(content, drawn).encode("utf-8", "backslashreplace"))
    return path


def draw(content: dict[str, Any]) -> dict[str, bytes]:
    """Return the pictures that the trials so far allow."""
    complete = [trial for trial in content["trials"] if trial["state"] == "complete"]
    drawn = {}
    if complete:
        drawn["history"] = pictures.history(content["trials"])
    if content["importances"]:
        drawn["importances"] = pictures.importances(content["importances"])
    searched = [trial for trial in complete if set(trial["params"]) >= set(content["space"])]
    if len(searched) > 1:
        drawn["parallel_coordinates"] = pictures.parallel_coordinates(searched, content["space"])
    return drawn


def render(content: dict[str, Any], drawn: dict[str, bytes]) -> str:
    """Return the page."""
    by_number = {trial["number"]: trial for trial in content["trials"]}
    return html.template("study.html.j2").render(
        **content,
        ranked=table.ranked(content["trials"]),
        best_trial=by_number.get(content["best"]),
        default_trial=by_number.get(content["baseline"]),
        settings=table.settings,
        text=table.value_text,
        pictures={name: html.picture(png) for name, png in drawn.items()},
    )
