"""The options that the load test adds to locust's command line and web page."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from loadtests import shapes, slo


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options, and set defaults of locust's own options that suit a fixed rate."""
    parser.add_argument(
        "--rate",
        env_var="LOCUST_RATE",
        type=_rate,
        default=20.0,
        metavar="R",
        help="requests per second, of all users together (20)",
    )
    built_in = ", ".join(shapes.names())
    parser.add_argument(
        "--shape",
        env_var="LOCUST_SHAPE",
        type=_checked(lambda text: shapes.load(text, 1)),
        default="steady",
        metavar="NAME",
        help=f"how the rate changes over time: {built_in}, or a file NAME.toml (steady)",
    )
    parser.add_argument(
        "--arrivals",
        env_var="LOCUST_ARRIVALS",
        choices=("constant", "poisson"),
        default="constant",
        help="equal gaps between requests, or the random gaps of independent clients (constant)",
    )
    parser.add_argument(
        "--slo",
        env_var="LOCUST_SLO",
        type=_checked(slo.parse),
        default="",
        metavar="LEVELS",
        help="service levels, such as p99=200ms,errors=0.1%%; if one is missed, the exit code is 1",
    )
    parser.add_argument(
        "--images", env_var="LOCUST_IMAGES", default="", metavar="DIR", help="folder of images to send (16 of noise)"
    )
    parser.add_argument(
        "--batch",
        env_var="LOCUST_BATCH",
        type=_positive,
        default=8,
        metavar="N",
        help="images per request to /predict/batch (8)",
    )
    parser.add_argument(
        "--report",
        env_var="LOCUST_REPORT",
        default="",
        metavar="DIR",
        help="write report.html, junit.xml and seconds.csv to this folder",
    )
    parser.add_argument(
        "--verdict", env_var="LOCUST_VERDICT", default="", metavar="FILE", help="write the verdict's line to this file"
    )
    # A user is a connection. One must be free whenever a request is due.
    parser.set_defaults(num_users=50, spawn_rate=50)


def base_url(text: str | None) -> str:
    """Return the address given as `--host` without its last slashes, so that paths can follow.

    Raises:
        ValueError: it is missing or no address of a service; the message is one line.
    """
    try:
        parts = urlsplit(text or "")
        # The port is only parsed when it is read.
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment:
        raise ValueError(f"--host {text or ''}: give the service's address, such as http://127.0.0.1:3000")
    return parts.geturl().rstrip("/")


def _checked(check: Callable[[str], Any]) -> Callable[[str], str]:
    """Accept text that `check` accepts. It stays text, because locust's web page edits it, until a run starts."""

    def value(text: str) -> str:
        try:
            check(text)
        except ValueError as error:
            # argparse names the option itself.
            raise argparse.ArgumentTypeError(re.sub(r"^--\w+ ", "", str(error))) from error
        return text

    return value


def _rate(text: str) -> float:
    try:
        if 0 < float(text) < float("inf"):
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text}: must be above 0 requests per second")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number above 0")
    return int(text)
