"""The card of a model: a page of Markdown that says what it is, from what data, how good, and what it is not for."""

from __future__ import annotations

from pathlib import Path

from model_format.errors import FormatError
from model_format.layout import CARD


def write(entry: Path, text: str) -> None:
    """Write the card into a store entry."""
    (entry / CARD).write_text(text, encoding="utf-8")


def read(entry: Path) -> str | None:
    """Return the card; None if the entry was stored without one.

    Raises:
        FormatError: the file can't be read.
    """
    path = entry / CARD
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FormatError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} can't be read: it is no UTF-8 text") from error
