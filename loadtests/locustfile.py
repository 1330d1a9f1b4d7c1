"""`locust -f loadtests/locustfile.py --host URL`: images to `/predict`, each answer checked.

With `--slo p99=200ms,errors=0` the exit code is the verdict.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # locust puts this folder there, not the checkout

from locust import FastHttpUser, constant_throughput, events, task

from loadtests import images, slo

logger = logging.getLogger(__name__)


@events.init_command_line_parser.add_listener
def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", metavar="DIR", help="images to send (16 made ones)")
    parser.add_argument("--rate", type=float, default=20, metavar="R", help="requests a second of all users (20)")
    parser.add_argument("--slo", default="", metavar="LEVELS", help="p99=200ms,errors=0: the exit code tells")
    parser.add_argument("--verdict", metavar="FILE", help="write the verdict's line there too")


class Classify(FastHttpUser):
    """A client with a connection of its own."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        options = environment.parsed_options
        self._bodies = itertools.cycle(_bodies(options.images))
        self._headers = {"Content-Type": images.CONTENT_TYPE}
        if os.environ.get("API_KEY"):
            self._headers["X-API-Key"] = os.environ["API_KEY"]
        self._wait = constant_throughput(options.rate / options.num_users)

    def wait_time(self) -> float:
        """Return the seconds until this user's next request is due."""
        return float(self._wait(self))

    @task
    def predict(self) -> None:
        """Send one image."""
        with self.rest("POST", "/predict", data=next(self._bodies), headers=self._headers) as response:
            if response.status_code != 200:
                response.failure(f"{response.status_code} {(response.text or '')[:100]}")
            elif not _is_answer(response.js):
                response.failure(f"not an answer: {(response.text or '')[:100]}")


_made: dict[str | None, list[bytes]] = {}


def _bodies(folder: str | None) -> list[bytes]:
    if folder not in _made:
        _made[folder] = images.bodies(folder)
    return _made[folder]


def _is_answer(document: Any) -> bool:
    if not isinstance(document, dict) or not isinstance(document.get("predicted_class"), str):
        return False
    confidence = document.get("confidence_score")
    return isinstance(confidence, float) and 0 <= confidence <= 1


@events.quitting.add_listener
def _judge(environment: Any, **_: object) -> None:
    total, options = environment.stats.total, environment.parsed_options
    figures = slo.Figures(total.num_requests, total.num_failures, total.get_response_time_percentile)
    good, text = slo.verdict(slo.parse(options.slo), figures)
    if total.num_failures:
        first = next(iter(environment.stats.errors.values()))
        text += f"; first error: {first.error}"
    logger.info("service levels: %s: %s", "kept" if good else "missed", text)
    if options.verdict:
        Path(options.verdict).write_text(text, encoding="utf-8")
    if options.slo:
        environment.process_exit_code = 0 if good else 1
