"""Run every check on a folder, and write a report and the list for `--exclude`: `python -m training check`."""

from __future__ import annotations

import json
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from dataclasses import dataclass
from pathlib import Path

from training import folders, options
from training.checks import run as checks
from training.checks.collection import CheckedPart, Collection
from training.config import NONE, Config
from training.data import exclusions
from training.data.dataset import load_whole
from training.data.locations import data_name, keep_outside
from training.data.names import as_text
from training.errors import UsageError
from training.report import html
from training.report.check_document import CheckedData, CheckReport, RejectedFile
from training.report.check_findings import of_checks

DEFAULT_OUT = "check"
_LISTED_FILES = 200


@dataclass(frozen=True)
class Done:
    """The paths of the report and of the list, the findings, and the lines of the list if `--fix` asked for it."""

    report: Path
    findings: list[str]
    listed: int | None
    list_path: Path


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own options, then those that it shares with a training."""
    parser.add_argument(
        "--fix",
        action="store_true",
        help="also write suspects.csv to the report's folder: the suspicious files, as a list for --exclude",
    )
    parser.add_argument(
        "--labels",
        action=BooleanOptionalAction,
        default=True,
        help="look for wrong labels; this trains three small networks, which takes minutes for 50,000 images "
        "(default: on)",
    )
    shared = (
        "data",
        "validation_data",
        "test_data",
        "images_root",
        "layout",
        "image_size",
        "resize",
        "decoders",
        "cache_dir",
        "exclude",
        "preset",
        "seed",
        "out",
    )
    options.add_arguments(parser, only=shared)


def run(args: Namespace) -> Done:
    """Run the command with the parsed options.

    Raises:
        TrainingError: an option makes no sense, or `check` raised it.
    """
    given = dict(vars(args))
    labels, fix = given.pop("labels"), given.pop("fix")
    config = options.merge({"backbone": NONE} | given, None)
    with folders.claimed(Path(config.out or DEFAULT_OUT), "check"):
        return check(config, labels, fix)


def check(config: Config, labels: bool, fix: bool) -> Done:
    """Check `config.data`, with its validation and test data, and write report.html and check.json to `config.out`.

    Raises:
        DataError: a folder can't be used.
        UsageError: `fix` is set, but the list exists and may have been edited.
    """
    out = Path(config.out or DEFAULT_OUT)
    list_path = out / "suspects.csv"
    if fix and list_path.exists():
        raise UsageError(f"{list_path} exists already; pass it to --exclude, remove it, or choose another --out")
    keep_outside(out, config)
    loaded = load_whole(config)
    out.mkdir(parents=True, exist_ok=True)
    parts = [CheckedPart(name, part, folder, name) for name, (part, folder) in loaded.items()]
    images = Collection(loaded["data"][1].class_names, parts)
    checked = checks.run(images, config, labels, out / "folds")
    rejected = [r for part, folder in loaded.values() for r in (*folder.rejected, *part.images.rejected)]
    report = CheckReport(
        data=CheckedData(
            name=data_name(config),
            classes=images.class_names,
            rejected=[RejectedFile(as_text(r.file), r.code, r.reason) for r in rejected],
        ),
        checks=checked.section,
    )
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    (out / "check.json").write_text(text, encoding="utf-8")
    found = list(of_checks(checked.section))
    for name, png in checked.pictures.items():
        (out / f"{name}.png").write_bytes(png)
    page = html.template("check.html.j2").render(
        **vars(report),
        findings=found,
        pictures={name: html.picture(png) for name, png in checked.pictures.items()},
        most_files=_LISTED_FILES,
    )
    (out / "report.html").write_bytes(page.encode("utf-8", "backslashreplace"))
    listed = exclusions.write(list_path, checked.suspects) if fix else None
    return Done(out / "report.html", found, listed, list_path)
