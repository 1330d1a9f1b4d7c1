"""Up, down, and up for as long as a block of code runs."""

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

from cluster import contour, images, keeper, state, tools
from cluster.errors import ClusterError
from cluster.settings import REPOSITORY, Settings

LOG = logging.getLogger(__name__)
# Ending every process takes a second or two; a busy machine gets more.
PATIENCE = 60.0


def up(settings: Settings) -> None:
    """Returns when the cluster is ready, and leaves it running. One that is running already is left alone."""
    if state.holder(settings):
        LOG.warning("a cluster is running in %s already", settings.home)
        return
    process = _start(settings)
    try:
        _await(settings, process)
    except BaseException:
        _end(process)
        raise
    os.write(_input(process), keeper.STAY)


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[None]:
    """A cluster that ends with the block, and with this process should it be killed."""
    process = _start(settings)
    try:
        _await(settings, process)
        yield
    finally:
        _end(process)


def down(settings: Settings) -> None:
    """Ends the cluster and removes what one that was killed left behind."""
    if process := state.holder(settings):
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
    images.write(settings)
    contour.write(settings)
    with _log(settings).open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "cluster", "keep"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            # Ctrl-C is for its parent, which then ends it in order.
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Its input's end is the keeper's."""
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


def _await(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    assert process.stdout
    start = time.monotonic()
    for line in process.stdout:
        phase = line.decode().strip()
        LOG.info("%5.1f s  %s", time.monotonic() - start, phase)
        if phase == keeper.READY:
            return
    process.wait()
    reason = _log(settings).read_text().strip().splitlines()[-1:]
    raise ClusterError(" ".join(reason).removeprefix("cluster: ") or "the cluster ended before it was ready")
