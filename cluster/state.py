"""Lock a home for one cluster at a time, and remove what a killed cluster left there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator

from cluster.errors import ClusterError
from cluster.namespaces import cgroups
from cluster.settings import Settings


@contextlib.contextmanager
def held(settings: Settings) -> Iterator[None]:
    """Hold the home's lock, which the kernel releases if this process dies.

    Raises:
        ClusterError: another process holds it.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ClusterError(f"a cluster is already running in {settings.home}") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def holder(settings: Settings) -> int | None:
    """Return the id of the process that keeps the cluster, if there is one."""
    try:
        with (settings.home / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                # The file is empty for a moment after the holder has taken the lock.
                return int(lock.read() or 0) or None
    except FileNotFoundError:
        pass
    return None


def clean(settings: Settings) -> None:
    """Remove a cluster's remains. Call it only while holding the lock, and with nothing running.

    Raises:
        ClusterError: processes don't end, or the folder can't be removed.
    """
    cgroups.remove(settings)
    shutil.rmtree(settings.run, ignore_errors=True)
    if settings.run.exists():
        raise ClusterError(f"{settings.run} can't be removed; unmount what is mounted there")
