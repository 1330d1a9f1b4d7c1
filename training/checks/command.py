"""`python -m training check`: run all checks on a folder, write a report and, on request, the list for `--exclude`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.checks import run
from training.checks.collection import CheckedPart, Collection
from training.config import DATASETS, Config
from training.data import exclusions
from training.data.dataset import load_whole
from training.data.folder import as_text
from training.errors import UsageError
from training.report import html
from training.report.check_findings import of_checks

DEFAULT_OUT = "check"
_LISTED_FILES = 200


@dataclass(frozen=True)
class Done:
    """The report, the findings, and the list with its number of lines, or None if no list was requested."""

    report: Path
    findings: list[str]
    listed: int | None
    list_path: Path


def check(config: Config, labels: bool, fix: bool) -> Done:
    """Check `config.data`, and `config.test_data` with it, and write report.html and check.json to `config.out`.

    Raises:
        DataError: a folder can't be used.
        UsageError: `fix` is given and the list exists already, perhaps with edits.
    """
    out = Path(config.out or DEFAULT_OUT)
    list_path = out / "suspects.csv"
    if fix and list_path.exists():
        raise UsageError(f"{list_path} exists already; use it with --exclude, remove it, or pass another --out")
    loaded = load_whole(config)
    out.mkdir(parents=True, exist_ok=True)
    options = ("data", "test-data")
    parts = [CheckedPart(name, part, folder, name) for name, (part, folder) in zip(options, loaded, strict=False)]
    images = Collection(loaded[0][1].class_names, parts)
    checked = run.run(images, config, labels, out / "folds")
    rejected = [r for part, folder in loaded for r in (*folder.rejected, *part.images.rejected)]
    document: dict[str, Any] = {
        "data": {
            "name": as_text(config.data if config.data in DATASETS else loaded[0][1].source.name),
            "classes": images.class_names,
            "rejected": [{"file": as_text(r.file), "code": r.code, "reason": r.reason} for r in rejected],
        },
        "checks": checked.section,
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    (out / "check.json").write_text(text, encoding="utf-8")
    found = list(of_checks(checked.section))
    for name, png in checked.pictures.items():
        (out / f"{name}.png").write_bytes(png)
    page = html.template("check.html.j2").render(
        **document,
        findings=found,
        pictures={name: html.picture(png) for name, png in checked.pictures.items()},
        most_files=_LISTED_FILES,
    )
    (out / "report.html").write_bytes(page.encode("utf-8", "backslashreplace"))
    listed = exclusions.write(list_path, checked.suspects) if fix else None
    return Done(out / "report.html", found, listed, list_path)
