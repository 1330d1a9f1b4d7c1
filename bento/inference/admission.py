"""Admit a bounded number of images, and never more than can be answered before their deadline."""

from __future__ import annotations

import asyncio
from time import perf_counter

from bento.errors import RequestError
from bento.settings import Settings
from bento.telemetry import metrics

_WINDOW = 0.25
"""Seconds of work over which the rate is measured."""

_BACKLOG = 8
"""Queue depth above which the measured rate is the service's own, not its clients'. At most half the limit."""

_MARGIN = 0.7
"""Share of the deadline that the expected wait may take. The rest covers errors of the measured rate."""


class Admission:
    """The queue's limit, and the images between admission and answer.

    Attributes:
        images: number of images admitted and not yet answered.
        buffered: bytes of request bodies held.
        connections: number of connections opened since the start.
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
        """Set the expected seconds per image, before they can be measured."""
        self._seconds = max(seconds, 1e-6)
        share = _MARGIN * self._settings.deadline_ms / 1000 / self._seconds
        self._limit = max(1, min(self._settings.queue_limit, int(share + 1e-6)))

    @property
    def full(self) -> bool:
        """Whether another image would be shed."""
        return self.images >= self._limit

    @property
    def turn(self) -> int:
        """Number of images of one request to admit at a time: one call's, and at most half the limit.

        If all images of a large request were admitted at once, an idle service would shed some of them.
        """
        return max(1, min(self._settings.max_batch_size, self._limit // 2))

    def refuses_next(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return whether a request that begins now would be shed, counting those begun in the same iteration.

        One iteration of the event loop reads many sockets before any of their requests calls `enter`. Without the
        count, all of them would see the same free queue slot.
        """
        if self.images + self._begun >= self._limit:
            return True
        if not self._begun:
            loop.call_soon(self._next_iteration)
        self._begun += 1
        return False

    def _next_iteration(self) -> None:
        self._begun = 0

    @property
    def wait(self) -> float:
        """Expected seconds until all admitted images are answered."""
        return self.images * self._seconds

    def refusal(self) -> RequestError:
        """Return the error for a shed request, and count it."""
        metrics.shed.labels("queue_full").inc()
        return RequestError("queue_full", f"{self.images} images are waiting", wait=self.wait)

    def enter(self) -> None:
        """Admit an image.

        Raises:
            RequestError: queue_full.
        """
        if self.full:
            raise self.refusal()
        self._pass_time()
        self.images += 1

    def leave(self, answered: bool) -> None:
        """Remove an image from the queue, and learn the rate from those that were answered."""
        self._pass_time()
        self.images -= 1
        # Dropped images don't count: they would hide that the service has become slow, and too many would be admitted.
        self._answered += answered
        if self._busy > _WINDOW and self._answered >= 4:
            self._learn(self._answered / self._busy)
            self._busy = self._slack = 0.0
            self._answered = 0

    def _pass_time(self) -> None:
        """Add the time since the last change to the busy time, unless the queue was empty."""
        now = perf_counter()
        if self.images:
            self._busy += now - self._since
            if self.images < min(_BACKLOG, self._limit // 2):
                self._slack += now - self._since
        self._since = now

    def _learn(self, rate: float) -> None:
        """Move the expected rate three tenths of the way to the measured rate, in images per second.

        With a short queue, the clients set the rate: it is a lower bound, and doesn't show that the service has become
        slow. The average is over rates, not times, in which one stall would outweigh everything before it.
        """
        believed = 1 / self._seconds
        if rate > believed or self._slack < 0.2 * self._busy:
            self.expect(1 / (0.7 * believed + 0.3 * rate))

    def hold(self, size: int) -> None:
        """Add to the bytes held.

        Raises:
            RequestError: queue_full, if the sum would exceed MAX_BUFFERED_BYTES.
        """
        if self.buffered + size > self._settings.max_buffered_bytes:
            raise self.refusal()
        self.buffered += size

    def release(self, size: int) -> None:
        """Subtract from the bytes held."""
        self.buffered -= size
