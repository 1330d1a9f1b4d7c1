"""Start and stop a cluster, or run one for the duration of a `with` block."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from cluster import keeper, state, tools
from cluster.addons import contour
from cluster.errors import ClusterError
from cluster.images import programs
from cluster.settings import REPOSITORY, Settings

LOG = logging.getLogger(__name__)
# Seconds for every process to end: one or two on an idle machine, more on a busy one.
PATIENCE = 60.0


def up(settings: Settings) -> None:
    """Start a cluster, return once it is ready, and leave it running. Do nothing if one is running already."""
    if state.holder(settings):
        LOG.warning("a cluster is already running in %s", settings.home)
        return
    process = _start(settings)
    try:
        _wait_until_ready(settings, process)
    except BaseException:
        _end(process)
        raise
    os.write(_input(process), keeper.STAY)


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[None]:
    """Run a cluster until the block ends, or until this process is killed."""
    process = _start(settings)
    try:
        _wait_until_ready(settings, process)
        yield
    finally:
        _end(process)


def down(settings: Settings) -> None:
    """Stop the cluster, and remove what a killed one left behind."""
    if process := state.holder(settings):
        LOG.info("waiting for process %d, which keeps the cluster in %s, to end", process, settings.home)
        os.kill(process, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while state.holder(settings) == process:
            if time.monotonic() > deadline:
                os.kill(process, signal.SIGKILL)
                deadline += PATIENCE
            time.sleep(0.05)
    with state.held(settings):
        state.clean(settings)


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    tools.gather(settings)
    programs.write(settings)
    contour.write(settings)
    with _log(settings).open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "cluster", "keep"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            # Ctrl-C must reach the parent only, which then ends the keeper in order.
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the keeper by closing its standard input."""
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    process.wait()
    process.stdout.close()


def _input(process: subprocess.Popen[bytes]) -> int:
    assert process.stdin
    return process.stdin.fileno()


def _log(settings: Settings) -> Path:
    return settings.home / "keeper.log"


def _wait_until_ready(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    assert process.stdout
    start = time.monotonic()
    for line in process.stdout:
        phase = line.decode().strip()
        LOG.info("%5.1f s  %s", time.monotonic() - start, phase)
        if phase == keeper.READY:
            return
    process.wait()
    reason = _log(settings).read_text().strip().splitlines()[-1:]
    raise ClusterError(" ".join(reason).removeprefix("error: ") or "the cluster ended before it was ready")
