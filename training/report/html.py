"""Write report.html: everything about a run or an evaluation on one page that needs no other file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.report import display
from training.report.findings import findings
from training.report.metrics import wilson_interval

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = Path(__file__).parent / "templates"
_LISTED_FILES = 200
_LISTED_PAIRS = 10
_CLASSES_IN_LABEL_ORDER = 20


def write(out: Path, report: dict[str, Any], pictures: dict[str, bytes]) -> Path:
    """Write `out`/report.html and each picture as `out`/NAME.png.

    Args:
        out: folder, made if it is missing.
        report: the content of metrics.json; a section whose key is missing is left out, but for "test".
        pictures: PNG by name; the page has places for learning_curves, confusion_matrix, roc_curves,
            reliability, reliability_before, mistakes, explanations, class_balance and samples.

    Returns:
        The path of report.html.

    Raises:
        OSError: `out` can't be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name, png in pictures.items():
        (out / f"{name}.png").write_bytes(png)
    path = out / "report.html"
    # A file's name may be no UTF-8; its stray bytes then show as \udcff and the like.
    path.write_bytes(render(report, pictures).encode("utf-8", "backslashreplace"))
    return path


def render(report: dict[str, Any], pictures: dict[str, bytes]) -> str:
    """Return the page. Every text of `report` is untrusted and comes out escaped."""
    test = report["test"]
    return template("report.html.j2").render(
        **report,
        verdict=_verdict(report),
        findings=findings(report),
        interval=wilson_interval(test["accuracy"], test["images"]),
        classes=_classes(test["per_class"]),
        worst_first=len(test["per_class"]) > _CLASSES_IN_LABEL_ORDER,
        confusions=_confusions(test),
        pictures={name: picture(png) for name, png in pictures.items()},
        most_files=_LISTED_FILES,
    )


def template(name: str) -> Template:
    """Return a template of this package, which escapes what it is given and knows how numbers are shown."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        percent=display.percent,
        decimal=display.decimal,
        duration=display.duration,
        file_size=display.file_size,
        count=lambda number: f"{number:,}",
    )
    return environment.get_template(name)


def _verdict(report: dict[str, Any]) -> tuple[str, str]:
    """A CSS class and the words."""
    model = report.get("model", {})
    if "train" not in report:
        return "plain", f"Evaluated {model['tag']}" if model.get("tag") else "Evaluated"
    if model.get("refused"):
        return "bad", f"Not published: {model['refused']}"
    if model.get("published"):
        return "good", f"Published as {model['tag']}"
    return "plain", "Not published"


def _classes(per_class: dict[str, dict[str, Any]]) -> list[tuple[int, str, dict[str, Any]]]:
    """(label, name, figures) in label order; of many classes the worst F1 first, the absent ones last."""
    rows = [(i, name, figures) for i, (name, figures) in enumerate(per_class.items())]
    if len(rows) > _CLASSES_IN_LABEL_ORDER:
        rows.sort(key=lambda row: 2.0 if row[2]["f1"] is None else row[2]["f1"])
    return rows


def _confusions(test: dict[str, Any]) -> list[dict[str, Any]]:
    """The pairs of classes most often mistaken for each other, by the number of images."""
    names = list(test["per_class"])
    pairs = [
        {"true": names[i], "predicted": names[j], "images": count, "share": count / sum(row)}
        for i, row in enumerate(test["confusion_matrix"])
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: (-pair["images"], -pair["share"]))[:_LISTED_PAIRS]


def picture(png: bytes) -> dict[str, Any]:
    """What an <img> needs; drawn for two device pixels a CSS pixel."""
    width, height = (int.from_bytes(png[start : start + 4]) // 2 for start in (16, 20))
    return {"source": base64.b64encode(png).decode(), "width": width, "height": height}
