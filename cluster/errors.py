"""The error that `python -m cluster` prints as one line."""

from __future__ import annotations


class ClusterError(Exception):
    """The message says what is wrong, where, and what to do."""
