"""Classify on the event loop, for models so small that handing an image to a thread costs more than the work.

If there are more CPUs than the loop can use, threads take several waiting images at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

from bento.inference.admission import Admission
from bento.inference.batcher import classify, deliver
from bento.inference.cost import CostCurve
from bento.inference.work import Work
from bento.models.runtime import Runtime

_SLICE = 0.005
"""Seconds of work before the loop reads sockets again, so that a request is shed at once instead of waiting in a
socket's buffer."""

_HELPED = 0.003
"""Seconds of work that a thread takes at a time."""

_ITERATIONS = 256
"""Iterations of the loop without work while connections arrive, since it accepts one per iteration."""


class InlineModel:
    """Classify cheap encoded images and decoded ones, in order.

    Args:
        run: the model, safe to call from several threads.
        cost: the model's cost curve, updated after each call on the loop.
        decode: decodes an image; returns the error, or None.
        decode_seconds: expected seconds to decode an image.
        most: largest number of images per call.
        threads: number of helping threads.
        admission: counter of the connections.
        loop: the event loop.
    """

    def __init__(
        self,
        run: Runtime,
        cost: CostCurve,
        decode: Callable[[Work], Exception | None],
        decode_seconds: float,
        most: int,
        threads: int,
        admission: Admission,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._run = run
        self._cost = cost
        self._decode = decode
        self._decode_seconds = decode_seconds
        self._most = most
        self._loop = loop
        self._waiting: deque[Work] = deque()
        self._scheduled = False
        self._admission = admission
        self._connections_seen = 0
        self._iterations = 0
        self._idle = threads
        self._helping: list[float] = []
        self._threads = ThreadPoolExecutor(max(1, threads), thread_name_prefix="inline")

    @property
    def busy_seconds(self) -> float:
        """Seconds that the longest-running helping thread has taken; 0 if none helps."""
        return perf_counter() - self._helping[0] if self._helping else 0.0

    def put(self, work: Work) -> None:
        """Queue one image."""
        self._waiting.append(work)
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._scheduled:
            self._scheduled = True
            # Run after everything that the loop reads in this iteration, so that these images share a call.
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        connections = self._admission.connections
        if connections != self._connections_seen and self._iterations < _ITERATIONS:
            self._connections_seen = connections
            self._iterations += 1
            self._loop.call_soon(self._work)
            return
        self._iterations = 0
        each = max(1e-6, self._cost.line[0] + self._decode_seconds)
        while self._idle and len(self._waiting) > 1:
            share = len(self._waiting) // (self._idle + 1)
            helped = self._take(max(1, min(share, int(_HELPED / each))))
            if helped:
                self._idle -= 1
                begun = perf_counter()
                self._helping.append(begun)
                self._threads.submit(self._help, helped, begun)
        # All images that fit share one call. With a call each, the model would evict the surrounding code from the
        # CPU's caches every time, which costs a few percent of a small model's image.
        ends = perf_counter() + _SLICE
        decoded: list[Work] = []
        while True:
            decoded += filter(self._decoded, self._take(1))
            following = self._decode_seconds + self._cost.seconds(len(decoded) + 1)
            if not self._waiting or len(decoded) == self._most or perf_counter() + following > ends:
                break
        if decoded:
            began = perf_counter()
            answers = classify(self._run, decoded)
            ended = perf_counter()
            self._cost.update(len(decoded), ended - began)
            deliver(decoded, answers, began, ended)
        self._scheduled = False
        self._schedule()

    def _take(self, most: int) -> list[Work]:
        """Return the next images whose clients wait and whose deadline can be met."""
        taken: list[Work] = []
        seconds = self._cost.seconds(1) + self._decode_seconds
        while self._waiting and len(taken) < most:
            work = self._waiting.popleft()
            if not work.drop_if_late(seconds):
                taken.append(work)
        return taken

    def _decoded(self, work: Work) -> bool:
        error = self._decode(work) if work.pixels is None else None
        if error is not None:
            work.fail(error)
        return error is None

    def _help(self, works: list[Work], begun: float) -> None:
        """Do the work of `_work` in a thread."""
        failed: list[tuple[Work, Exception]] = []
        for work in works:
            error = self._decode(work) if work.pixels is None else None
            if error is not None:
                failed.append((work, error))
        decoded = [work for work in works if work.pixels is not None]
        began = perf_counter()
        answers = classify(self._run, decoded) if decoded else []
        self._loop.call_soon_threadsafe(self._helped, begun, decoded, answers, failed, began, perf_counter())

    def _helped(
        self,
        begun: float,
        works: list[Work],
        answers: list[np.ndarray | None],
        failed: list[tuple[Work, Exception]],
        began: float,
        ended: float,
    ) -> None:
        self._idle += 1
        self._helping.remove(begun)
        for work, error in failed:
            work.fail(error)
        if works:
            deliver(works, answers, began, ended)
        self._schedule()

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False)
