"""Keep a folder of results to one command, and to one process at a time; wait for locks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shlex
import shutil
import tempfile
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from training.errors import FolderInUse, Interrupted, StoreError, TrainingError, UsageError, of_system

logger = logging.getLogger(__name__)

CONFIG = "config.toml"
RUNS = "runs"
_LOCK = ".lock"
_LEAST_SPACE = 1 << 20
"""With fewer bytes free after an error, the disk counts as full."""
_MARKS = {
    "train": (CONFIG,),
    "tune": ("study.json", "study.db"),
    "check": ("check.json",),
    "evaluate": ("metrics.json",),
}
"""Files by which a folder's command is recognised. A training writes metrics.json as well, so it comes first."""
_PATIENCE = 3.0
"""Seconds that nobody wonders about."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


def owner(folder: Path) -> str | None:
    """Return the command whose results `folder` holds; None if it holds none."""
    return next((name for name, marks in _MARKS.items() if any((folder / mark).exists() for mark in marks)), None)


def resuming(run: Path) -> str:
    """Return the command that resumes the run in the folder `run`."""
    return f"python -m training --resume {shlex.quote(str(run))}"


def new_run() -> Path:
    """Make and return a new folder for a training, runs/DATE-TIME; of several in one second, each gets its own."""
    first = Path(RUNS, datetime.now().strftime("%Y%m%d-%H%M%S"))
    first.parent.mkdir(exist_ok=True)
    folder, number = first, 1
    while True:
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1
            folder = first.with_name(f"{first.name}-{number}")


@contextlib.contextmanager
def waiting(why: str) -> Iterator[None]:
    """Log `why` once if the block waits longer than a few seconds for another process."""
    late = threading.Timer(_PATIENCE, logger.info, ("waiting: %s", why))
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()


@contextlib.contextmanager
def claimed(folder: Path, command: str) -> Iterator[None]:
    """Use `folder`, which is made if it is missing, for `command` alone. If nothing was written, it is removed again.

    Raises:
        UsageError: it holds the results of another command.
        FolderInUse: another process uses it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        found = owner(folder)
        if found not in (None, command):
            raise UsageError(f"{folder} holds the results of `{found}`; give `{command}` another --out")
        yield


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    path = folder / _LOCK
    while True:
        lock = path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise FolderInUse(f"another process uses {folder}; wait for its end, or give another --out") from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:  # a file system without locks is used without
                lock.close()
                raise
        # Between these two steps its owner may have ended and removed the file.
        if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
            break
        lock.close()
        folder.mkdir(parents=True, exist_ok=True)
    with lock:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it holds results
                folder.rmdir()


@contextlib.contextmanager
def of_run(out: Path, leads: bool) -> Iterator[None]:
    """Keep a run's folder to this process, if it leads. Name `--resume` in an error that a resumed run can get over."""
    with claimed(out, "train") if leads else contextlib.nullcontext():
        try:
            yield
        except (KeyboardInterrupt, Exception) as error:
            ended = _outside(error, out)
            if ended is None or not (out / CONFIG).exists():
                raise
            raise type(ended)(f"{ended}; continue with: {resuming(out)}") from error


def _outside(error: BaseException, out: Path) -> TrainingError | None:
    """Return an error that comes from outside the run, so that a resumed one may get over it; None for another one."""
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted")
    if isinstance(error, OSError):
        return of_system(error)
    if isinstance(error, TrainingError):
        return error if isinstance(error, (Interrupted, StoreError)) else None
    # The libraries that write models report a full disk in many ways.
    for folder in (out, Path(tempfile.gettempdir())):
        if shutil.disk_usage(folder).free < _LEAST_SPACE:
            return of_system(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)))
    return None
