"""Run the keeper: a process outside the cluster that starts it, forwards ports to it and removes it. They end together.

The keeper writes each phase to stdout for its parent. Unless the parent answers `stay`, the cluster ends with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from cluster import state
from cluster.addons import objects
from cluster.errors import ClusterError
from cluster.images import programs
from cluster.kubernetes import api, certificates, kubeconfigs, nodes
from cluster.namespaces import cgroups, enter, forward
from cluster.settings import NODES, REPOSITORY, Settings

STAY = b"stay\n"
READY = "ready"
NAMESPACES = ("unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc")
# The kernel kills the child as soon as its parent ends.
TIED = ("setpriv", "--pdeathsig", "KILL")


def keep(settings: Settings) -> None:
    """Run a cluster; return once it is gone.

    Raises:
        ClusterError: the cluster doesn't start, or ends by itself.
    """
    ending = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        # Set a flag; an exception could strike after a process has started and before its id is known.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ending.set()

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_watch_parent, args=(ending,), daemon=True).start()
    with state.held(settings):
        state.clean(settings)
        try:
            listening = forward.listen(settings)
            _prepare(settings)
            _live(settings, listening, ending)
        except ClusterError:
            if not ending.is_set():
                raise
        finally:
            state.clean(settings)


def _live(settings: Settings, listening: forward.Listening, ending: threading.Event) -> None:
    process = _enter(settings)
    # Ending that process also ends whatever is running inside.
    threading.Thread(target=_kill_when, args=(ending, process), daemon=True).start()
    try:
        _await_inside(settings, process)
        forward.start(listening, enter.pid(settings))
        _bring_up(settings, process)
        _report(READY)
        process.wait()
    finally:
        _kill(process)
    raise ClusterError(f"the cluster ended by itself; see the logs in {settings.logs}")


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
    command = [*TIED, *NAMESPACES, sys.executable, "-m", "cluster.inside"]
    with (settings.logs / "inside.log").open("wb") as log:
        return subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _await_inside(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    while not (settings.run / "inside").exists():
        if process.poll() is not None:
            last = (settings.logs / "inside.log").read_text().strip().splitlines()[-1:]
            raise ClusterError(f"the namespaces can't be set up: {' '.join(last)}")
        time.sleep(0.02)
    (settings.run / "pid").write_text(str(_first(process)))


def _first(process: subprocess.Popen[bytes]) -> int | None:
    """Return the id of the first process inside, a child of `unshare`."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[0]) if children else None


def _bring_up(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    _report("daemons")
    sockets = [Path(f"/proc/{enter.pid(settings)}/root{node.runtime}") for node in NODES]
    _wait_for(process, "containerd", lambda: all(socket.exists() for socket in sockets))
    programs.import_missing(settings)
    _report("images")
    _wait_for(process, "the API server", lambda: api.ready(settings))
    _report("API server")
    objects.create(settings)
    _report("add-ons")
    objects.wait(settings)


def _wait_for(
    process: subprocess.Popen[bytes], what: str, condition: Callable[[], bool], patience: float = 120
) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ClusterError(f"{what} didn't start; docs/cluster.md says where its log is")
        time.sleep(0.05)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the first process inside; its parent ends only after all others have."""
    # Another thread may have killed it already.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(_first(process) or process.pid, signal.SIGKILL)
    process.wait()


def _kill_when(ending: threading.Event, process: subprocess.Popen[bytes]) -> None:
    ending.wait()
    _kill(process)


def _watch_parent(ending: threading.Event) -> None:
    # Don't use sys.stdin: a thread must not hold its lock when the interpreter exits.
    if os.read(0, len(STAY)) != STAY:
        ending.set()


def _report(phase: str) -> None:
    sys.stdout.write(phase + "\n")
    sys.stdout.flush()
