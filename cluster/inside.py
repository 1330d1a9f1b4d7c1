"""Run as the first process inside the cluster's namespaces: set up mounts and network, then keep every daemon running.

When this process ends, for whatever reason, the kernel ends everything that it started.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from types import FrameType

from cluster import settings, tools
from cluster.kubernetes import api, daemons
from cluster.kubernetes.daemons import Daemon
from cluster.namespaces import mounts, network

LOG = logging.getLogger(__name__)
# Seconds before a restart: the kubelet exits until containerd is ready for it, others until the API server is.
PAUSE = 0.3
TICK = 0.05


def main() -> None:
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    signal.signal(signal.SIGTERM, _stop)
    where = settings.load()
    os.environ["PATH"] = tools.search_path(where.bin)
    os.environ["TMPDIR"] = str(where.run / "tmp")
    mounts.create(where)
    network.create()
    (where.run / "inside").touch()
    _supervise(where, daemons.every(where))


def _supervise(where: settings.Settings, wanted: list[Daemon]) -> None:
    """Start each daemon once it may start, and restart it when it exits. Reap orphans, as a first process must."""
    running: dict[int, Daemon] = {}
    due = {daemon.name: 0.0 for daemon in wanted}
    while True:
        waiting = [daemon for daemon in wanted if due.get(daemon.name, math.inf) <= time.monotonic()]
        ready = any(daemon.needs_api for daemon in waiting) and api.ready(where)
        for daemon in waiting:
            if ready or not daemon.needs_api:
                del due[daemon.name]
                running[_start(where, daemon)] = daemon
        while (ended := os.waitpid(-1, os.WNOHANG if due else 0)) != (0, 0):
            if gone := running.pop(ended[0], None):
                LOG.info("%s exited with %d; restarting it", gone.name, os.waitstatus_to_exitcode(ended[1]))
                due[gone.name] = time.monotonic() + PAUSE
        time.sleep(TICK)


def _start(where: settings.Settings, daemon: Daemon) -> int:
    log = os.open(where.logs / f"{daemon.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        outputs = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
        return os.posix_spawnp(daemon.command[0], daemon.command, os.environ, file_actions=outputs)
    finally:
        os.close(log)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
