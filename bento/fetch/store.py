"""Place a fetched model in a model store, atomically and once, even if several processes try."""

from __future__ import annotations

from pathlib import Path

from bento.fetch import archive, remote
from model_format.staging import staging

MAX_BYTES = 2 * 2**30

_RECEIPT = ".fetched"
"""The file in a store entry that holds the SHA-256 of its archive."""

_STAGING = ".fetch-"


class StoreError(Exception):
    """The model can't be placed in the store; the message is one line."""


def fetch(
    url: str, sha256: str, home: Path, *, plain_http: bool = False, max_bytes: int = MAX_BYTES
) -> tuple[str, bool]:
    """Download the model and place it in the store of `home`, unless it is there already.

    Args:
        url: `http(s)://...`, or `oci://HOST/REPOSITORY:TAG` whose manifest lists the archive as a layer.
        sha256: of the archive, checked before the archive is opened.
        home: a BENTOML_HOME.
        plain_http: use HTTP for the registry of an `oci://` URL.
        max_bytes: most bytes of the archive, and of its unpacked files.

    Returns:
        The tag of the model, and whether it was downloaded; False means that it was there already.

    Raises:
        RemoteError: the download failed; another try may succeed.
        ArchiveError: the archive has another SHA-256, or is no exported model.
        StoreError: `home` can't be written, or holds another model with that tag.
    """
    models = home / "models"
    try:
        with staging(home, _STAGING, f"another process fetches a model into {home}") as aside:
            there = _already(models, sha256)
            if there:
                return there, False
            packed = aside / "archive"
            with packed.open("wb") as out:
                remote.download(url, sha256, out, plain_http=plain_http, max_bytes=max_bytes)
            entry = aside / "entry"
            name, version = archive.unpack(packed, entry, max_bytes=max_bytes)
            (entry / _RECEIPT).write_text(sha256)
            _place(entry, models / name / version, aside)
            return f"{name}:{version}", True
    except OSError as error:
        raise StoreError(f"{error.filename or home}: {error.strerror}") from error


def _already(models: Path, sha256: str) -> str | None:
    for receipt in models.glob(f"*/*/{_RECEIPT}"):
        if receipt.read_text() == sha256:
            return f"{receipt.parent.parent.name}:{receipt.parent.name}"
    return None


def _place(entry: Path, target: Path, aside: Path) -> None:
    if target.exists():
        tag = f"{target.parent.name}:{target.name}"
        raise StoreError(
            f"{target.parents[1]} has another {tag}, not from this archive; remove it, or train the model again"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    entry.chmod(0o755)
    entry.rename(target)
    latest = target.parent / "latest"
    if not latest.exists():
        # Without this file BentoML lists no model of that name.
        new = aside / "latest"
        new.write_text(target.name)
        new.replace(latest)
