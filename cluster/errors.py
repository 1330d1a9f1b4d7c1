"""What can go wrong with the cluster, told in one line."""

from __future__ import annotations


class ClusterError(Exception):
    """The message says what is wrong, where, and what to do."""
