"""The process outside that a cluster lives and dies with: starts it, forwards ports to it, takes it away again.

It tells its parent each phase on stdout. Unless the parent answers `stay`, the cluster ends with the parent.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from cluster import addons, api, certificates, cgroups, enter, forward, images, kubeconfigs, nodes, state
from cluster.errors import ClusterError
from cluster.settings import NODES, REPOSITORY, Settings

STAY = b"stay\n"
READY = "ready"
NAMESPACES = ("unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc")
# The child is killed when its parent is, at whatever point that happens.
TIED = ("setpriv", "--pdeathsig", "KILL")


def keep(settings: Settings) -> None:
    """Returns when the cluster is gone. Raises ClusterError when it doesn't come up."""
    signal.signal(signal.SIGTERM, _end)
    with state.held(settings):
        state.clean(settings)
        process: subprocess.Popen[bytes] | None = None
        try:
            threading.Thread(target=_watch_parent, daemon=True).start()
            listening = forward.listen(settings)
            _prepare(settings)
            process = _enter(settings)
            forward.start(listening, enter.pid(settings))
            _fill(settings)
            _tell(READY)
            process.wait()
            raise ClusterError(f"the cluster ended by itself; its logs are in {settings.logs}")
        finally:
            # From here on nothing may stop the cleaning.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if process:
                _kill(settings, process)
            state.clean(settings)


def _prepare(settings: Settings) -> None:
    for folder in (settings.run / "tmp", settings.logs):
        folder.mkdir(parents=True, exist_ok=True)
    for log in settings.logs.iterdir():
        log.unlink()
    certificates.issue(settings)
    kubeconfigs.write(settings)
    nodes.configure(settings)
    cgroups.create(settings)


def _enter(settings: Settings) -> subprocess.Popen[bytes]:
    with (settings.logs / "inside.log").open("wb") as log:
        command = [*TIED, *NAMESPACES, sys.executable, "-m", "cluster.inside"]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (settings.run / "inside").exists():
        if process.poll() is not None:
            last = (settings.logs / "inside.log").read_text().strip().splitlines()[-1:]
            raise ClusterError(f"the namespaces can't be set up: {' '.join(last)}")
        time.sleep(0.02)
    (settings.run / "pid").write_text(children.read_text().split()[0])
    return process


def _fill(settings: Settings) -> None:
    _tell("daemons")
    sockets = [Path(f"/proc/{enter.pid(settings)}/root{node.runtime}") for node in NODES]
    _until("containerd", lambda: all(socket.exists() for socket in sockets))
    images.bring(settings)
    _tell("images")
    _until("the API server", lambda: api.ready(settings))
    _tell("API server")
    addons.create(settings)
    _tell("add-ons")
    addons.wait(settings)


def _until(what: str, condition: Callable[[], bool], patience: float = 120.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what} isn't there after {patience:.0f} s")
        time.sleep(0.05)


def _kill(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    """By its first process, so that its parent ends only after every process inside has."""
    try:
        os.kill(enter.pid(settings), signal.SIGKILL)
    except (ClusterError, ProcessLookupError):
        process.kill()
    process.wait()


def _watch_parent() -> None:
    # Not through sys.stdin, whose lock a thread mustn't hold at the interpreter's end.
    if os.read(0, len(STAY)) != STAY:
        os.kill(os.getpid(), signal.SIGTERM)


def _tell(phase: str) -> None:
    sys.stdout.write(phase + "\n")
    sys.stdout.flush()


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
