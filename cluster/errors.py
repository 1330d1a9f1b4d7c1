"""Define the error that `python -m cluster` shows as one line."""

from __future__ import annotations

from commandline import CommandError


class ClusterError(CommandError):
    """The cluster can't do what the user asks. The message says what is wrong, where, and what to do."""
