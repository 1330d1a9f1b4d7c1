"""Decide by names alone: what is passed over, what is a part of a data set, and how names are compared and shown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

_PART = re.compile(
    r"(?:(?P<train>train(?:ing)?)|(?P<validation>val|valid|validation|dev)|(?P<test>test(?:ing)?))"
    r"(?:[ _.-]?(?:set|data|images|split))?",
    re.IGNORECASE,
)

_JUNK = {
    "@eadir",
    "@recycle",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "__macosx",
    "__pycache__",
    "desktop.ini",
    "ehthumbs.db",
    "lost+found",
    "recycler",
    "system volume information",
    "thumbs.db",
}
"""What operating systems, NAS boxes and archivers add to folders, in lower case."""

METADATA = ("metadata.csv", "metadata.jsonl")
"""The lists that Hugging Face's ImageFolder has beside the images."""


def is_junk(name: str) -> bool:
    """Return whether a file or folder is hidden or made by a system, so that it is passed over at any depth."""
    return not name or name.startswith(".") or name.lower() in _JUNK


def part_of(name: str) -> str | None:
    """Return which part of a data set a folder names, "train", "validation" or "test"; None for any other name."""
    found = _PART.fullmatch(name)
    return found.lastgroup if found else None


_REPORT, _RUN = frozenset({"metrics.json", "check.json", "study.json"}), frozenset({"checkpoint", "model"})
OF_RECORDS = {"report.html", "config.toml"} | _REPORT | _RUN
"""The names by which `is_record` decides."""


def is_record(names: Collection[str]) -> bool:
    """Return whether a folder with these entries was written by one of the commands: a run, a check or a search."""
    has = set(names).intersection
    return bool((has({"report.html"}) and has(_REPORT)) or (has({"config.toml"}) and has(_RUN)))


def name_of(folders: Sequence[str]) -> str:
    """Return the innermost of `folders`, preceded by its parent if it names only a part of a data set."""
    return as_text("/".join(folders[-2:] if part_of(folders[-1]) else folders[-1:]))


def class_of(folder: str) -> str:
    """Return the class that a folder names, in NFC: some systems write an accented letter as two code points (NFD)."""
    return unicodedata.normalize("NFC", folder)


def as_text(name: str) -> str:
    """Return a file's name as text that can be written: bytes that aren't UTF-8 become \\x escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def some(names: Sequence[str], most: int = 5) -> str:
    """Return the first `most` of `names` for a message of one line."""
    return ", ".join(map(as_text, names[:most])) + (", ..." if len(names) > most else "")
