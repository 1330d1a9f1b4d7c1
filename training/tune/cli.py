"""Define the options of `python -m training tune`, and run a search with them."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from training import options
from training.errors import UsageError
from training.tune.plan import SEARCHES
from training.tune.space import DEFAULT

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training.report.study_document import StudyReport
    from training.steps import Result

_TRIALS = 20


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of a search, then those of a training."""
    group = parser.add_argument_group("search")
    group.add_argument(
        "--space",
        type=Path,
        default=DEFAULT,
        metavar="FILE",
        help="TOML file with the options to search and their ranges (default: training/tune/space.toml)",
    )
    group.add_argument(
        "--search",
        choices=SEARCHES,
        default="tpe",
        help="how to choose trials: random; tpe, which learns from earlier trials; hyperband, which is tpe and stops "
        "bad trials early; grid, which tries every combination (default: tpe)",
    )
    group.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help=f"trials besides the default configuration (default: {_TRIALS}; a grid has one per combination)",
    )
    group.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="trials to run at the same time on this machine (default: 1)",
    )
    group.add_argument(
        "--storage",
        metavar="URL",
        help="database of the study, for several machines: postgresql+psycopg://USER@HOST/DATABASE "
        "(default: TUNE_STORAGE, otherwise a file in --out)",
    )
    group.add_argument("--study", metavar="NAME", help="name of the study in the database; needed with --storage")
    group.add_argument(
        "--retrain",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="train the best trial's options on training and validation images, and publish the model (default: off)",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file with the default configuration")
    options.add_arguments(parser)


def run(args: Namespace, show: Callable[[RenderableType], None]) -> Result | None:
    """Search with the parsed options.

    Args:
        args: what `add_arguments` added.
        show: gets the table of the trials.

    Returns:
        The result of retraining the best trial, if `--retrain` asks for that.

    Raises:
        TrainingError: an option makes no sense, or the search failed.
    """
    given = dict(vars(args))
    own = {name: given.pop(name) for name in ("space", "search", "trials", "processes", "storage", "study", "retrain")}
    config_file = given.pop("config")
    if own["search"] == "grid" and own["trials"] is not None:
        raise UsageError("--trials: a grid has as many as its space has combinations; leave it out")
    for name in ("trials", "processes"):
        if own[name] is not None and own[name] < 1:
            raise UsageError(f"--{name} is {own[name]}; it must be at least 1")
    own["trials"] = own["trials"] or _TRIALS
    if given.pop("refit", False):
        raise UsageError("--refit leaves no validation images to compare trials on; pass --retrain instead")

    from training.tune.search import Request, search
    from training.tune.table import table

    def show_study(content: StudyReport) -> None:
        show(table(content))

    request = Request(config=options.merge(given, config_file), fixed=frozenset(given), **own)
    return search(request, show_study)
