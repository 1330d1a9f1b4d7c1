"""Classify on the event loop: for models so small that handing an image to a thread costs more than the work.

Where there are more CPUs than the loop can use, threads take from what has piled up, several images at a time.
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
"""Seconds of work before the loop gets to read sockets again. Reading goes first, so that a request which must be
refused is refused at once instead of ageing in a socket's buffer."""

_HELPED = 0.003
"""Seconds of work that a thread is given at a time."""

_TURNS = 256
"""Turns of the loop that may go by without work while connections come in: it takes one of them in a turn."""


class InlineModel:
    """Takes cheap encoded images and decoded ones, in order.

    Args:
        run: the model; safe to call from several threads.
        cost: told of each call on the loop.
        decode: bytes to pixels; returns what it failed with.
        decode_seconds: what that is expected to take.
        most: images a call.
        threads: how many help.
        admission: counts the connections.
        loop: the event loop it works on.
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
        self._turns = 0
        self._idle = threads
        self._helping: list[float] = []
        self._threads = ThreadPoolExecutor(max(1, threads), thread_name_prefix="inline")

    @property
    def busy_seconds(self) -> float:
        """How long the helping thread that began first has been at it; 0 with none."""
        return perf_counter() - self._helping[0] if self._helping else 0.0

    def put(self, work: Work) -> None:
        """Queue one image."""
        self._waiting.append(work)
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._scheduled:
            self._scheduled = True
            # After all that the loop has read in this turn, which then goes into the model together.
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        connections = self._admission.connections
        if connections != self._connections_seen and self._turns < _TURNS:
            self._connections_seen = connections
            self._turns += 1
            self._loop.call_soon(self._work)
            return
        self._turns = 0
        each = max(1e-6, self._cost.line[0] + self._decode_seconds)
        while self._idle and len(self._waiting) > 1:
            share = len(self._waiting) // (self._idle + 1)
            helped = self._take(max(1, min(share, int(_HELPED / each))))
            if helped:
                self._idle -= 1
                begun = perf_counter()
                self._helping.append(begun)
                self._threads.submit(self._help, helped, begun)
        # All that fit go into one call: one by one, the model would each time have thrown out of the processor's caches
        # what the code before and after it needs: some hundredths of what a small model's image costs.
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
        """Return the next images that are still worth the work."""
        taken: list[Work] = []
        seconds = self._cost.seconds(1) + self._decode_seconds
        while self._waiting and len(taken) < most:
            work = self._waiting.popleft()
            if not work.dropped(seconds):
                taken.append(work)
        return taken

    def _decoded(self, work: Work) -> bool:
        error = self._decode(work) if work.pixels is None else None
        if error is not None:
            work.fail(error)
        return error is None

    def _help(self, works: list[Work], begun: float) -> None:
        """Do in a thread what `_work` does on the loop."""
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
        """Let the threads end."""
        self._threads.shutdown(wait=False)
