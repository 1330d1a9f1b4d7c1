"""What holds for all tests: Ctrl-C reaches what they start, and a test marked `alone` has the machine to itself."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from model_format import usage_reports

usage_reports.switch_off()

# A shell makes its background jobs ignore Ctrl-C, and their children inherit that. The tests send Ctrl-C to children.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test marked `alone` wait until the run's other processes are between two tests, and keep them there."""
    if not _files():
        return (yield)
    # First of all wrappers, so that waiting doesn't count against the test's time limit.
    with _turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files that are marked `alone` last, so that the processes wait for each other at the end only."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)


def pytest_sessionfinish() -> None:
    for path in _files():
        path.unlink(missing_ok=True)


def _files() -> list[Path]:
    """Return the two lock files that the processes of this run share; none if it is one process."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    return [Path(tempfile.gettempdir(), f"pytest-{run}.{name}") for name in ("queue", "machine")] if run else []


@contextlib.contextmanager
def _turn(alone: bool) -> Iterator[None]:
    queue_file, machine_file = _files()
    with queue_file.open("w") as queue, machine_file.open("w") as machine:
        # Whoever waits for the machine holds the queue, so that no other test can overtake it.
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield
