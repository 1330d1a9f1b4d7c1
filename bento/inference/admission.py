"""Who is let in: a bounded number of images, and never more than can be answered before their deadline."""

from __future__ import annotations

import asyncio
from time import perf_counter

from bento.errors import RequestError, retry_after
from bento.settings import Settings
from bento.telemetry import metrics

_WINDOW = 0.25
"""Seconds of work over which the service rate is measured."""

_BACKLOG = 8
"""Images inside, or half of those that find a place, from which on the service sets the rate and not those who send."""

_MARGIN = 0.7
"""Share of the deadline that the wait may be expected to take; the rate isn't known better than that."""


class Admission:
    """Counts images from when they are taken in to when they are answered.

    Attributes:
        images: taken in and not yet answered.
        buffered: bytes of request bodies held.
        connections: that have come in since the start.
    """

    def __init__(self, settings: Settings) -> None:
        self.images = 0
        self.buffered = 0
        self.connections = 0
        self._begun = 0
        self._settings = settings
        self._seconds = 1e-6
        self._limit = settings.queue_limit
        self._since = 0.0
        self._busy = 0.0
        self._slack = 0.0
        self._answered = 0
        metrics.queue_depth.set_function(lambda: self.images)

    def expect(self, seconds: float) -> None:
        """Set what an image is expected to take, before that can be measured."""
        self._seconds = max(seconds, 1e-6)
        share = _MARGIN * self._settings.deadline_ms / 1000 / self._seconds
        self._limit = max(1, min(self._settings.queue_limit, int(share + 1e-6)))

    @property
    def full(self) -> bool:
        """Whether another image would be refused."""
        return self.images >= self._limit

    @property
    def turn(self) -> int:
        """How many images of one request may be inside at a time: a call's worth, and never more than half of all.

        Let in at once, those of a large batch would be refused for their own sake alone, however idle the service.
        """
        return max(1, min(self._settings.max_batch_size, self._limit // 2))

    def refuses_next(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Tell whether a request that begins now would find no place, counting those that began in the same turn.

        One turn of the loop reads many sockets before any of their requests gets to `enter`; each of them would
        otherwise see the one place that is free.
        """
        if self.images + self._begun >= self._limit:
            return True
        if not self._begun:
            loop.call_soon(self._next_turn)
        self._begun += 1
        return False

    def _next_turn(self) -> None:
        self._begun = 0

    @property
    def wait(self) -> float:
        """Seconds until all that is inside will have been answered."""
        return self.images * self._seconds

    def refusal(self) -> RequestError:
        """Return what to tell those who are not let in."""
        metrics.shed.labels("queue_full").inc()
        return retry_after("queue_full", f"{self.images} images are waiting", self.wait)

    def enter(self) -> None:
        """Let an image in.

        Raises:
            RequestError: queue_full.
        """
        if self.full:
            raise self.refusal()
        self._pass_time()
        self.images += 1

    def leave(self, answered: bool) -> None:
        """Let an image out, and learn how fast that goes from those that were not merely given up."""
        self._pass_time()
        self.images -= 1
        # Counted in, those that were dropped would hide that the others have become slow, and be let in for nothing.
        self._answered += answered
        if self._busy > _WINDOW and self._answered >= 4:
            self._learn(self._answered / self._busy)
            self._busy = self._slack = 0.0
            self._answered = 0

    def _pass_time(self) -> None:
        """Count the time since the last image came or went: not at all while there was none inside."""
        now = perf_counter()
        if self.images:
            self._busy += now - self._since
            if self.images < min(_BACKLOG, self._limit // 2):
                self._slack += now - self._since
        self._since = now

    def _learn(self, rate: float) -> None:
        """Go three tenths of the way to the images a second that were measured.

        With few inside the rate is theirs who send: it tells what the service can do at least, and never that it has
        become slow. Rates are averaged and not times, for which one stall would count as much as all before it.
        """
        believed = 1 / self._seconds
        if rate > believed or self._slack < 0.2 * self._busy:
            self.expect(1 / (0.7 * believed + 0.3 * rate))

    def hold(self, size: int) -> None:
        """Add to the bytes held.

        Raises:
            RequestError: queue_full: they would be more than the service may hold.
        """
        if self.buffered + size > self._settings.max_buffered_bytes:
            raise self.refusal()
        self.buffered += size

    def release(self, size: int) -> None:
        """Take from the bytes held."""
        self.buffered -= size
