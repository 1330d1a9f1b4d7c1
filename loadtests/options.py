"""What the load test adds to locust's command line and web page."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

from loadtests import shapes, slo


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options, and defaults of locust's own that suit arrivals at a rate."""
    parser.add_argument(
        "--rate",
        env_var="LOCUST_RATE",
        type=_rate,
        default=20.0,
        metavar="R",
        help="requests a second, of all users (20)",
    )
    built_in = ", ".join(shapes.names())
    parser.add_argument(
        "--shape",
        env_var="LOCUST_SHAPE",
        type=_checked(lambda text: shapes.load(text, 1)),
        default="steady",
        metavar="NAME",
        help=f"how the rate changes: {built_in}, or a file NAME.toml (steady)",
    )
    parser.add_argument(
        "--arrivals",
        env_var="LOCUST_ARRIVALS",
        choices=("constant", "poisson"),
        default="constant",
        help="equal gaps between requests, or those of independent clients",
    )
    parser.add_argument(
        "--slo",
        env_var="LOCUST_SLO",
        type=_checked(slo.parse),
        default="",
        metavar="LEVELS",
        help="what must hold, such as p99=200ms,errors=0.1%%: the exit code tells",
    )
    parser.add_argument(
        "--images", env_var="LOCUST_IMAGES", default="", metavar="DIR", help="images to send (16 made ones)"
    )
    parser.add_argument(
        "--batch",
        env_var="LOCUST_BATCH",
        type=_positive,
        default=8,
        metavar="N",
        help="images in a request of /predict/batch (8)",
    )
    parser.add_argument(
        "--report",
        env_var="LOCUST_REPORT",
        default="",
        metavar="DIR",
        help="write report.html, junit.xml and seconds.csv there",
    )
    parser.add_argument(
        "--verdict", env_var="LOCUST_VERDICT", default="", metavar="FILE", help="write the verdict's line there"
    )
    # A user is a connection, and one must be free whenever a request is due.
    parser.set_defaults(num_users=50, spawn_rate=50)


def _checked(check: Callable[[str], Any]) -> Callable[[str], str]:
    """Text that `check` takes; locust's web page changes it as text, and it is read when a run starts."""

    def value(text: str) -> str:
        try:
            check(text)
        except ValueError as error:
            # argparse names the option, too.
            raise argparse.ArgumentTypeError(re.sub(r"^--\w+ ", "", str(error))) from error
        return text

    return value


def _rate(text: str) -> float:
    try:
        if 0 < float(text) < float("inf"):
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text}: must be over 0 requests a second")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number over 0")
    return int(text)
