"""Which idle connections the sweeper closes."""

from __future__ import annotations

import asyncio
from collections.abc import Set

import pytest

from bento.http.connection import sweeper


class Connection:
    def __init__(self, quiet_since: float, *, idle: bool = True) -> None:
        self.quiet_since = quiet_since
        self.is_idle = idle
        self.closed = False

    def end_if_stuck(self, now: float) -> None:
        pass

    def close_idle(self) -> None:
        self.closed = True


def test_of_too_many_idle_connections_the_oldest_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind: a long keep-alive time must not let idle clients take all memory and files."""
    monkeypatch.setattr(sweeper, "_SWEEP", 0)
    idle = [Connection(quiet_since) for quiet_since in (3.0, 1.0, 2.0)]
    busy = Connection(0.0, idle=False)
    connections: Set[Connection] = {*idle, busy}

    async def scenario() -> None:
        sweeper.Sweeper(most_idle=2).watch(connections, asyncio.get_running_loop())
        await asyncio.sleep(0.01)

    asyncio.run(scenario())
    assert [connection.closed for connection in (*idle, busy)] == [False, True, False, False]
