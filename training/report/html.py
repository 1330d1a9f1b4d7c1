"""Render report.html: one page about a run or an evaluation that needs no other file."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.report import display
from training.report.document import Report, TrainingReport
from training.report.figures import ClassFigures, Evaluation
from training.report.findings import findings
from training.report.metrics import wilson_interval

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = Path(__file__).parent / "templates"
_LISTED_FILES = 200
_LISTED_PAIRS = 10
_CLASSES_IN_LABEL_ORDER = 20


def render(report: Report, pictures: dict[str, bytes]) -> str:
    """Return the page. Every text of `report` is untrusted, so it is escaped.

    Args:
        report: what the page is about.
        pictures: PNG by name; the page shows learning_curves, confusion_matrix, roc_curves,
            reliability, reliability_before, mistakes, explanations, class_balance and samples.
    """
    test = report.test
    return template("report.html.j2").render(
        **vars(report),
        verdict=_verdict(report),
        findings=findings(report),
        interval=wilson_interval(test.accuracy, test.images),
        classes=_classes(test.per_class),
        worst_first=len(test.per_class) > _CLASSES_IN_LABEL_ORDER,
        confusions=_confusions(test),
        pictures={name: picture(png) for name, png in pictures.items()},
        most_files=_LISTED_FILES,
    )


def template(name: str, **options: Any) -> Template:
    """Return a template of this package, with filters for numbers, and with HTML's escaping unless `options` differ."""
    from jinja2 import Environment, FileSystemLoader

    options = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True} | options
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), **options)
    environment.filters.update(
        percent=display.percent,
        decimal=display.decimal,
        duration=display.duration,
        file_size=display.file_size,
        count=lambda number: f"{number:,}",
        capitalise=lambda text: text[:1].upper() + text[1:],
    )
    return environment.get_template(name)


def _verdict(report: Report) -> tuple[str, str]:
    """Return a CSS class and the words."""
    if not isinstance(report, TrainingReport):
        return "plain", f"Evaluated {report.model.tag}"
    if report.model.refused:
        return "bad", f"Not published: {report.model.refused}"
    if report.model.published:
        return "good", f"Published as {report.model.tag}"
    return "plain", "Not published"


def _classes(per_class: dict[str, ClassFigures]) -> list[tuple[int, str, ClassFigures]]:
    """Return (label, name, figures) in label order; of many classes the worst F1 first, the absent ones last."""
    rows = [(i, name, figures) for i, (name, figures) in enumerate(per_class.items())]
    if len(rows) > _CLASSES_IN_LABEL_ORDER:
        rows.sort(key=lambda row: 2.0 if row[2].f1 is None else row[2].f1)
    return rows


@dataclass(frozen=True)
class Confusion:
    """Test images of one class that are predicted as another one."""

    true: str
    predicted: str
    images: int
    share: float
    """Fraction of the images of the true class."""


def _confusions(test: Evaluation) -> list[Confusion]:
    """Return the pairs of classes that are confused in the most images, those first."""
    names = list(test.per_class)
    pairs = [
        Confusion(true=names[i], predicted=names[j], images=count, share=count / sum(row))
        for i, row in enumerate(test.confusion_matrix)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: (-pair.images, -pair.share))[:_LISTED_PAIRS]


@dataclass(frozen=True)
class Picture:
    """What an <img> takes."""

    source: str
    """The PNG in base64."""
    width: int
    """In CSS pixels."""
    height: int


def picture(png: bytes) -> Picture:
    """Return `png` for a page; it was drawn with two device pixels per CSS pixel."""
    width, height = (int.from_bytes(png[start : start + 4]) // 2 for start in (16, 20))
    return Picture(base64.b64encode(png).decode(), width, height)
