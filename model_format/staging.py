"""Prepare a store entry aside: a locked staging folder, from which the finished entry is renamed into the store."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def staging(home: Path, prefix: str, busy: str) -> Iterator[Path]:
    """Yield a staging folder in the store's file system, and hold a lock meanwhile.

    Wait for other processes with the same prefix, and remove the staging folders of killed ones. The lock shows that
    they were killed; a process ID would not, because containers that share a store may all run as process 1.

    Args:
        home: a BENTOML_HOME, which is created if it is missing.
        prefix: begins the names of the folder and of the lock file.
        busy: what to log if another process has the lock.

    Raises:
        OSError: `home` can't be written.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / f"{prefix}lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting: %s", busy)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for abandoned in home.glob(f"{prefix}*/"):
            shutil.rmtree(abandoned, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=home))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
