"""What an archive lists: regular files by safe paths. What leads out of it, or to another file, is refused."""

from __future__ import annotations

from typing import NamedTuple

from training.data.names import is_junk
from training.data.remote import MOST_BYTES
from training.data.source import Stat
from training.errors import DataError

MOST_FILES = 5_000_000
"""Files in one archive. Their names and places are held in memory."""
LABELS = {"cls": 1024, "txt": 1024, "json": 1 << 20}
"""The endings of files that may hold a label, and how many bytes are read of one at most."""


class Member(NamedTuple):
    """A regular file in an archive; `text` is the content of a small one whose ending is among `LABELS`."""

    name: str
    stat: Stat
    text: bytes | None = None


class Damaged(Exception):
    """A file in an archive isn't what the archive says about it; the message says why."""


def safe(name: str, address: object) -> str | None:
    """Return a member's path below the archive's root; None for junk.

    Raises:
        DataError: the path is absolute, or leads upwards.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise DataError(
            f"{address}: the path {name[:100]!r} leads out of the archive; pack the files again, with relative paths"
        )
    return None if any(map(is_junk, parts)) else "/".join(parts)


def refuse_link(name: str, address: object) -> DataError:
    """Return the error for a link, a device or another file without content of its own."""
    return DataError(
        f"{address}: {name[:100]!r} is no regular file but a link or a device; pack the files themselves (tar -h "
        "--hard-dereference, or zip without -y)"
    )


def refuse_count(count: int, address: object) -> None:
    """Refuse an archive of too many files.

    Raises:
        DataError: `count` is more than `MOST_FILES`.
    """
    if count > MOST_FILES:
        raise DataError(f"{address} has over {MOST_FILES:,} files; divide it into several archives")


def label_bytes(name: str, size: int) -> bool:
    """Return whether a file of this name and size may hold a label."""
    return size <= LABELS.get(name.rpartition(".")[2].lower(), -1)


def is_too_large(size: int) -> bool:
    """Return whether a file is larger than any accepted image."""
    return size > MOST_BYTES
