"""Keep a study in a SQLite file in its folder, or in a PostgreSQL database that several machines share.

A password comes from the environment or libpq's own files, and is never shown.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commandline import ExitCode
from training.errors import TrainingError, UsageError
from training.folders import waiting

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

VARIABLE = "TUNE_STORAGE"
HEARTBEAT, GRACE = 10, 60
"""Seconds between signs of life of a trial, and without one until a trial on another machine is repeated."""
RETRIES = 2
"""Retries of a trial whose process was killed. Without a limit, one that needs too much memory would never end."""

_DIALECT = "postgresql+psycopg"
_LOCK = 0x7475_6E65
"""Key of the advisory lock: any number that no other program uses in this database."""
# Otherwise a database with the encoding SQL_ASCII returns bytes, which SQLAlchemy doesn't expect.
_CONNECT: dict[str, Any] = {"connect_timeout": 10, "client_encoding": "utf8"}


class StorageError(TrainingError):
    """The study's storage can't be reached or used. On a cluster another attempt may succeed."""

    exit_code = ExitCode.UNREACHABLE


def address(given: str | None, out: Path) -> str:
    """Return the URL of the storage: `given`, otherwise that of the environment, otherwise a file in `out`.

    Raises:
        UsageError: it is no URL of PostgreSQL, or `given` contains a password.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    text = given or os.environ.get(VARIABLE)
    if not text:
        return f"sqlite:///{(out / 'study.db').resolve()}"
    where = "--storage" if given else VARIABLE
    wanted = f"{where}: write {_DIALECT}://USER@HOST/DATABASE"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UsageError(wanted) from None  # the text may hold a password
    if url.drivername not in (_DIALECT, "postgresql"):
        raise UsageError(f"{wanted}, not {url.drivername}://...; without it the study is a file in --out")
    if given and (url.password or "password" in url.query):
        raise UsageError(
            f"--storage: every user of this machine can read a password on the command line; set PGPASSWORD, use "
            f"~/.pgpass, or put the URL into {VARIABLE}"
        )
    return url.set(drivername=_DIALECT).render_as_string(hide_password=False)


def is_shared(url: str) -> bool:
    """Whether other machines may work on the same study."""
    return not url.startswith("sqlite:")


def shown(url: str) -> str:
    """Return the URL without its password, to be shown."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    if not is_shared(url):
        return str(parsed.database)
    return parsed.difference_update_query(["password"]).set(password=None).render_as_string()


def connect(url: str) -> RDBStorage:
    """Open the storage; create the tables for studies if it has none.

    Raises:
        StorageError: it can't be reached, or is not Optuna's.
    """
    import warnings

    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import RDBStorage

    settings: dict[str, Any] = {"engine_kwargs": {"connect_args": {"timeout": 60}}}
    if is_shared(url):
        settings = {
            "engine_kwargs": {"connect_args": _CONNECT, "pool_pre_ping": True},
            "heartbeat_interval": HEARTBEAT,
            "grace_period": GRACE,
        }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # Creating the tables in two processes at the same time would fail.
        try:
            with problems(url), alone(url):
                return RDBStorage(url, heartbeat_stale_trial_callback=again(), **settings)
        except RuntimeError as error:  # tables of another version of Optuna
            raise StorageError(f"the study's storage {shown(url)}: {str(error).splitlines()[0]}") from error


def again() -> Any:
    """Return the callback (study, trial) that queues a lost trial again, at most RETRIES times."""
    import warnings

    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import RetryHeartbeatStaleTrialCallback

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)


@contextmanager
def alone(url: str) -> Iterator[None]:
    """Hold the storage's lock: one process of all machines at a time. It is released even if the process is killed."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url
    from sqlalchemy.pool import NullPool

    if not is_shared(url):
        with Path(f"{make_url(url).database}.lock").open("w") as lock:
            with waiting(f"another process has the lock {lock.name}"):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    engine = create_engine(url, poolclass=NullPool, connect_args=_CONNECT)
    with engine.begin() as connection:
        with waiting(f"another process has the lock of the study's storage {shown(url)}"):
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        yield


@contextmanager
def problems(url: str) -> Iterator[None]:
    """Report an error of the database as one line.

    Raises:
        StorageError: SQLAlchemy or Optuna reported an error.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
        reason = str(getattr(cause, "orig", None) or cause).strip().splitlines() or [type(cause).__name__]
        raise StorageError(f"the study's storage {shown(url)}: {reason[0]}") from error
