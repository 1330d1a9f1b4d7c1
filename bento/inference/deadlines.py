"""Answers images whose deadline passes while a call of the model hangs. Otherwise the batcher drops what is late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

from bento.inference.work import Work


class Deadlines:
    """Watches all images by one timer; a timer for each would cost too much per request.

    A call that takes as long as a whole deadline hangs, as far as its clients can tell. A shorter one is let end: an
    answer that comes a little late is worth more than none.

    Args:
        seconds: from the arrival of an image to its deadline, the same for all.
        busy_seconds: returns how long the present call of the model has been running.
        loop: event loop, for its timers.
    """

    def __init__(self, seconds: float, busy_seconds: Callable[[], float], loop: asyncio.AbstractEventLoop) -> None:
        self._seconds = seconds
        self._busy_seconds = busy_seconds
        self._loop = loop
        self._open: dict[Work, None] = {}
        """In order of arrival, and so of their deadlines."""
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, work: Work) -> None:
        """Watch an image until `forget` is called with it."""
        self._open[work] = None
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look)

    def forget(self, work: Work) -> None:
        """Watch an image no longer; it is answered."""
        self._open.pop(work, None)

    def _look(self) -> None:
        self._timer = None
        busy = self._busy_seconds()
        if busy >= self._seconds:
            now = perf_counter()
            for work in [work for work in self._open if work.deadline <= now]:
                if work.drop_if_late(0):
                    self.forget(work)
        if not self._open:
            return
        first = next(iter(self._open))
        # A call that has just begun, and that the first image may be part of, hangs no sooner than after a deadline.
        wait = max(first.deadline - perf_counter(), self._seconds - busy, 0.001)
        self._timer = self._loop.call_later(wait, self._look)
