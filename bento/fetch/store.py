"""Place a fetched model in a model store: whole or not at all, however many processes try."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bento.fetch import archive, remote

MAX_BYTES = 2 * 2**30

_RECEIPT = ".fetched"
"""Holds the SHA-256 of the archive that a store entry came from."""

_STAGING = ".fetch-"


class StoreError(Exception):
    """The store can't take the model; the message is one line."""


def fetch(
    url: str, sha256: str, home: Path, *, plain_http: bool = False, max_bytes: int = MAX_BYTES
) -> tuple[str, bool]:
    """Place the model in `home`, whole or not at all.

    Args:
        url: `http(s)://...`, or `oci://HOST/REPOSITORY:TAG` whose manifest lists the archive as a layer.
        sha256: of the archive, checked before it is opened.
        home: a BENTOML_HOME.
        plain_http: whether the registry of an `oci://` URL is asked over HTTP.
        max_bytes: most bytes of the archive, and of what it unpacks to.

    Returns:
        The model's tag, and whether it was fetched; else it was there.

    Raises:
        RemoteError: it can't be had from there, for now at least.
        ArchiveError: the hash is another's, or this is no exported model.
        StoreError: `home` can't take it.
    """
    models = home / "models"
    try:
        with _alone(home) as staging:
            there = _already(models, sha256)
            if there:
                return there, False
            packed = staging / "archive"
            with packed.open("wb") as out:
                remote.download(url, sha256, out, plain_http=plain_http, max_bytes=max_bytes)
            entry = staging / "entry"
            name, version = archive.unpack(packed, entry, max_bytes=max_bytes)
            (entry / _RECEIPT).write_text(sha256)
            _place(entry, models / name / version, staging)
            return f"{name}:{version}", True
    except OSError as error:
        raise StoreError(f"{error.filename or home}: {error.strerror}") from error


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[Path]:
    """Make a folder to work in, in the store's file system; wait for other fetches, clear up after killed ones."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / f"{_STAGING}lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for abandoned in home.glob(f"{_STAGING}*/"):
            shutil.rmtree(abandoned, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=home))
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _already(models: Path, sha256: str) -> str | None:
    for receipt in models.glob(f"*/*/{_RECEIPT}"):
        if receipt.read_text() == sha256:
            return f"{receipt.parent.parent.name}:{receipt.parent.name}"
    return None


def _place(entry: Path, target: Path, staging: Path) -> None:
    if target.exists():
        tag = f"{target.parent.name}:{target.name}"
        raise StoreError(f"{target.parents[1]} has another {tag}, not from this archive; remove it or train anew")
    target.parent.mkdir(parents=True, exist_ok=True)
    entry.chmod(0o755)
    entry.rename(target)
    latest = target.parent / "latest"
    if not latest.exists():
        # BentoML lists no model of a name without it.
        new = staging / "latest"
        new.write_text(target.name)
        new.replace(latest)
