"""Ends connections that have gone quiet, all of them by one timer; what quiet means, each of them knows."""

from __future__ import annotations

import asyncio
from typing import Any

_SWEEP = 1.0
"""Seconds between two looks."""


class Sweeper:
    """Looks at all connections every second: a timer for each would cost every request more than it may."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Look after these connections, each a `bento.http.protocol.Protocol`, for as long as there are any."""
        if self._timer is None:
            self._timer = loop.call_later(_SWEEP, self._sweep, connections, loop)

    def _sweep(self, connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for connection in list(connections):
            connection.end_if_stuck(now)
        if connections:
            self.watch(connections, loop)
