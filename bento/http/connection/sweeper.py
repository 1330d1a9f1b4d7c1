"""Closes quiet connections, all of them by one timer; each connection knows what quiet means."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Set

from bento.http.connection.contracts import Quiet

_SWEEP = 1.0
"""Seconds between two sweeps."""
MOST_IDLE = 4096
"""Bounds the memory and the open files of idle connections, which may stay open for a long time."""


class Sweeper:
    """Looks at all connections once a second; a timer for each would cost too much per request.

    Args:
        most_idle: most connections that may be idle. Of more, those that have been idle the longest are closed.
    """

    def __init__(self, most_idle: int = MOST_IDLE) -> None:
        self._timer: asyncio.TimerHandle | None = None
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_idle = most_idle if files == resource.RLIM_INFINITY else min(most_idle, files // 2)

    def watch(self, connections: Set[Quiet], loop: asyncio.AbstractEventLoop) -> None:
        """Watch a live set of connections until it is empty."""
        if self._timer is None:
            self._timer = loop.call_later(_SWEEP, self._sweep, connections, loop)

    def _sweep(self, connections: Set[Quiet], loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for connection in list(connections):
            connection.end_if_stuck(now)
        if len(connections) > self._most_idle:
            idle = [connection for connection in connections if connection.is_idle]
            idle.sort(key=lambda connection: connection.quiet_since, reverse=True)
            for connection in idle[self._most_idle :]:
                connection.close_idle()
        if connections:
            self.watch(connections, loop)
