"""Closes quiet connections, all of them by one timer; each connection knows what quiet means."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from typing import Protocol

_SWEEP = 1.0
"""Seconds between two sweeps."""


class Quiet(Protocol):
    """A connection that can go quiet."""

    def end_if_stuck(self, now: float) -> None:
        """Close the connection if nothing has happened on it for too long; `now` is the event loop's time."""


class Sweeper:
    """Looks at all connections once a second; a timer for each would cost too much per request."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, connections: Set[Quiet], loop: asyncio.AbstractEventLoop) -> None:
        """Watch a live set of connections until it is empty."""
        if self._timer is None:
            self._timer = loop.call_later(_SWEEP, self._sweep, connections, loop)

    def _sweep(self, connections: Set[Quiet], loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for connection in list(connections):
            connection.end_if_stuck(now)
        if connections:
            self.watch(connections, loop)
