"""The command line of `python -m training tune`: flags, one call, and what is said at the end."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.errors import UsageError
from training.options import add_arguments, merge
from training.progress import console
from training.tune.plan import SEARCHES
from training.tune.space import DEFAULT

if TYPE_CHECKING:
    from training.report.study_document import StudyReport

_TRIALS = 20
_DESCRIPTION = """Search for options with a lower validation loss than the default configuration, which is trial 0.
The test images are never looked at. The same command goes on with a search that was ended or killed."""
_EPILOG = """All options of a training may be given; one that the space has is then fixed, and not searched.
Exit codes: 0 searched (and published, with --retrain), 1 data, disk or another study in the way, 2 wrong options,
3 below --min-accuracy, 4 the storage can't be reached, 130 interrupted: what was found is in the report."""


def main(arguments: list[str]) -> None:
    """Run the command.

    Raises:
        TrainingError: what `training.cli` says in one line.
    """
    given = vars(_parser().parse_args(arguments))
    own = {name: given.pop(name) for name in ("space", "search", "trials", "processes", "storage", "study", "retrain")}
    config_file = given.pop("config")
    if own["search"] == "grid" and own["trials"] is not None:
        raise UsageError("--trials: a grid has as many as its space has combinations; leave it out")
    for name in ("trials", "processes"):
        if own[name] is not None and own[name] < 1:
            raise UsageError(f"--{name} is {own[name]}; it must be at least 1")
    own["trials"] = own["trials"] or _TRIALS
    if given.pop("refit", False):
        raise UsageError("--refit leaves nothing to compare trials on; --retrain does it with the best one")

    from training.tune.search import Request, search
    from training.tune.table import table

    result = search(Request(config=merge(given, config_file), fixed=frozenset(given), **own), _show(table))
    if result is None:
        return
    sys.stdout.write(f"{result.tag}\n" if result.tag is not None else "")
    console.print(f"Report of the best trial: {result.out / 'report.html'}", markup=False)


def _show(table: Any) -> Any:
    from rich.console import Console

    def show(found: StudyReport) -> None:
        Console(highlight=False).print(table(found))

    return show


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m training tune",
        usage="python -m training tune --data DIR [--space FILE] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("search")
    group.add_argument(
        "--space",
        type=Path,
        default=DEFAULT,
        metavar="FILE",
        help="TOML file of what is searched (training/tune/space.toml)",
    )
    group.add_argument(
        "--search",
        choices=SEARCHES,
        default="tpe",
        help="at random; learning from trials (tpe); that, ending bad ones early (hyperband); or a whole grid (tpe)",
    )
    group.add_argument(
        "--trials", type=int, metavar="N", help=f"beside the default configuration ({_TRIALS}; grid: all)"
    )
    group.add_argument(
        "--processes", type=int, default=1, metavar="N", help="trials at the same time on this machine (1)"
    )
    group.add_argument(
        "--storage",
        metavar="URL",
        help="postgresql+psycopg://USER@HOST/DATABASE, for several machines (TUNE_STORAGE; else a file in --out)",
    )
    group.add_argument("--study", metavar="NAME", help="of the study in a storage (needed with --storage)")
    group.add_argument(
        "--retrain",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="train the best trial on train and validation images, and publish it",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of the default configuration")
    add_arguments(parser)
    return parser
