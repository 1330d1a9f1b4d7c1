"""Who holds the cluster of a home, and what one that was killed leaves behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator

from cluster import cgroups
from cluster.errors import ClusterError
from cluster.settings import Settings


@contextlib.contextmanager
def held(settings: Settings) -> Iterator[None]:
    """The kernel gives the lock back when its holder dies. Raises ClusterError when another holds it."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ClusterError(f"a cluster is running in {settings.home} already") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def holder(settings: Settings) -> int | None:
    """The process that keeps the cluster, if there is one."""
    try:
        with (settings.home / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                # Empty for the moment between taking it and saying so.
                return int(lock.read() or 0) or None
    except FileNotFoundError:
        pass
    return None


def clean(settings: Settings) -> None:
    """Only while the lock is held, and nothing runs. Raises ClusterError when processes don't end."""
    cgroups.remove(settings)
    shutil.rmtree(settings.run, ignore_errors=True)
    if settings.run.exists():
        raise ClusterError(f"{settings.run} can't be removed; look for what is mounted there")
