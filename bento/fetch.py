"""Bring an exported model into a model store: `python -m bento.fetch URL --sha256 HEX --into $BENTOML_HOME`.

What an init container runs before a server whose MODEL_TAG isn't in its image. Needs the standard library alone.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bento import archive, remote

MAX_BYTES = 2 * 2**30

_RECEIPT = ".fetched"
"""Holds the SHA-256 of the archive that a store entry came from."""

_STAGING = ".fetch-"


class StoreError(Exception):
    """The store can't take the model; the message is one line."""


EXIT_CODES: dict[type[Exception], int] = {remote.RemoteError: 3, archive.ArchiveError: 4, StoreError: 5}
"""2 is argparse's. Only 3 may go away by trying again."""


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


def _sha256(value: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise argparse.ArgumentTypeError("a SHA-256 has 64 hexadecimal digits")
    return value.lower()


def _url(value: str) -> str:
    if not re.match(r"(https?|oci)://[^/\s]+/\S+$", value):
        raise argparse.ArgumentTypeError("not http://..., https://... or oci://HOST/REPOSITORY:TAG")
    return value


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bento.fetch", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", type=_url, metavar="URL", help="of an archive written by `bentoml models export`")
    parser.add_argument("--sha256", type=_sha256, required=True, metavar="HEX", help="of that archive")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR", help="the BENTOML_HOME of the server")
    parser.add_argument("--plain-http", action="store_true", help="ask the registry of an oci:// URL over HTTP")
    parser.add_argument("--max-bytes", type=int, default=MAX_BYTES, metavar="N", help="largest size (default: 2 GiB)")
    options = parser.parse_args(arguments)
    home = options.into.absolute()
    try:
        tag, fetched = fetch(
            options.url, options.sha256, home, plain_http=options.plain_http, max_bytes=options.max_bytes
        )
    except tuple(EXIT_CODES) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(f"{tag} {'fetched' if fetched else 'is there already'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
