"""Format numbers and untrusted names for a person: on a terminal, in a picture or in the report."""

from __future__ import annotations

import re
import unicodedata

MISSING = "-"

# Besides Markdown's own signs: mathematics, entities, and what becomes a link without any.
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>|~&$@]|(?<=:)(?=//)|(?<=www)(?=\.)", re.I)

# Unicode doesn't count these as printable, but Persian, emoji and Chinese names need them.
_HARMLESS = "\u200c\u200d\u00a0\u3000"


def percent(value: float | None) -> str:
    """Return 0.923 as "92.3%", None as a dash."""
    return MISSING if value is None else f"{100 * value:.1f}%"


def decimal(value: float | None) -> str:
    """Return a score between 0 and 1 with three decimals, None as a dash."""
    return MISSING if value is None else f"{value:.3f}"


def duration(seconds: float) -> str:
    """Return seconds as "4.2 s", "3 min 05 s" or "2 h 07 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def file_size(size: int) -> str:
    """Return a number of bytes as "812 B", "4.1 kB" or "1.2 MB"; a kB is 1,000 bytes."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1e3:.1f} kB" if size < 999_950 else f"{size / 1e6:.1f} MB"


def printable(name: str) -> str:
    """Escape characters that move the cursor, break the line, change the direction of text or are no valid UTF-8."""
    return "".join(
        character if character.isprintable() or character in _HARMLESS else character.encode("unicode_escape").decode()
        for character in name
    )


def markdown(text: str) -> str:
    """Return Markdown that shows `printable(text)` within a line or a table: no markup, no HTML, no links."""
    return _MARKDOWN.sub(r"\\\g<0>", printable(text))


def columns(text: str) -> int:
    """Return the number of terminal columns that `text` takes; a Chinese character takes two."""
    return sum(
        2 if unicodedata.east_asian_width(character) in "WF" else unicodedata.combining(character) == 0
        for character in text
    )


def shorten(name: str, most: int) -> str:
    """Return `printable(name)`, without its middle if it takes more than `most` columns (at least 3).

    Class names often differ only in their last word.
    """
    name = printable(name)
    if columns(name) <= most:
        return name
    head, tail = name, name
    while columns(head) > most // 2:
        head = head[:-1]
    while columns(tail) > (most - 1) // 2:
        tail = tail[1:]
    return f"{head}…{tail}"
