"""What is wrong with a stored model."""

from __future__ import annotations


class FormatError(Exception):
    """The entry doesn't have this format; the message is one line that names the entry and says what to do."""
