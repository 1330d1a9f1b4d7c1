"""The micro-batcher: images wait here for the model and go into it together. Knows no HTTP and no decoding.

All of it runs on the event loop but the call of the model, which has a thread of its own. Nothing polls: a call
starts when an image arrives, when the call before it ends, or when the wait for company is over.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

from bento.inference.cost import CostCurve
from bento.inference.work import Work, poisoned
from bento.models.runtime import Runtime
from bento.telemetry import metrics

logger = logging.getLogger("image_classifier")

Start = Callable[[list[Work]], None]

_NICE = 5
"""How much more modest the model's thread is than the others (nice(2))."""


class Batcher:
    """Decides which images go into the next call of the model, and when.

    Args:
        start: begins a call with these images; `finished` must be called after it, on the event loop.
        cost: the model's, kept up to date by whoever runs it.
        most: images a call.
        longest_wait: seconds an idle model waits for company.
        loop: for its clock and timers.
    """

    def __init__(
        self, start: Start, cost: CostCurve, most: int, longest_wait: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._start = start
        self._cost = cost
        self._most = most
        self._longest_wait = longest_wait
        self._loop = loop
        self._waiting: deque[Work] = deque()
        self._busy = False
        self._company = 1
        self._timer: asyncio.TimerHandle | None = None

    def put(self, work: Work) -> None:
        """Queue one decoded image."""
        self._waiting.append(work)
        self._consider()

    def finished(self, images: int) -> None:
        """Note that the call with so many images has ended."""
        self._busy = False
        # Those who were answered together, and those who came meanwhile, are likely to come together again.
        self._company = max(images, len(self._waiting))
        self._consider()

    def _consider(self) -> None:
        if self._busy or not self._waiting:
            return
        size = self._cost.best_size(self._most)
        if len(self._waiting) >= min(self._company, size):
            self._go(size)
        elif self._timer is None:
            # Never longer than the fixed cost that company would share: as a ski is bought once the rent has
            # come to its price, waiting in vain then at most doubles the cost of the call. And since the company
            # expected is that of the last call, it happens once: a lone client isn't kept waiting.
            wait = min(self._longest_wait, self._cost.line[1])
            self._timer = self._loop.call_later(wait, self._go, size)

    def _go(self, size: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch: list[Work] = []
        while self._waiting and len(batch) < size:
            work = self._waiting.popleft()
            if not work.dropped(self._cost.seconds(len(batch) + 1)):
                batch.append(work)
        if batch:
            self._busy = True
            self._start(batch)


class InferenceThread:
    """Runs the model in one thread, a call at a time.

    Args:
        run: the model.
        cost: told of each call.
        loop: where the images' results are set.
    """

    def __init__(self, run: Runtime, cost: CostCurve, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._cost = cost
        self._loop = loop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference", initializer=_settle)
        self._began: float | None = None
        self.finished: Callable[[int], None] = lambda _: None
        """Called on the event loop after each call of the model."""

    @property
    def busy_seconds(self) -> float:
        """How long the present call has been running; 0 with none."""
        began = self._began
        return 0.0 if began is None else perf_counter() - began

    def start(self, batch: list[Work]) -> None:
        """Begin a call; `finished` follows."""
        self._began = perf_counter()
        self._thread.submit(self._classify, batch)

    def _classify(self, batch: list[Work]) -> None:
        began = perf_counter()
        answers = classify(self._run, batch)
        ended = perf_counter()
        self._loop.call_soon_threadsafe(self._deliver, batch, answers, began, ended)

    def _deliver(self, batch: list[Work], answers: list[np.ndarray | None], began: float, ended: float) -> None:
        self._began = None
        self._cost.update(len(batch), ended - began)
        deliver(batch, answers, began, ended)
        self.finished(len(batch))

    def close(self) -> None:
        """Let the thread end; a call under way is not waited for."""
        self._thread.shutdown(wait=False)


def classify(run: Runtime, batch: list[Work]) -> list[np.ndarray | None]:
    """Call the model with all images of `batch`, and where it fails with each alone, so that one can't hurt another.

    Returns:
        Each image's probabilities; None where the model fails on it.
    """
    try:
        return list(run(np.stack([work.pixels for work in batch if work.pixels is not None])))
    except Exception:
        # Whatever a runtime raises on one image, the others can still be answered.
        if len(batch) == 1:
            logger.exception("the model failed on an image")
            return [None]
        return [classify(run, [work])[0] for work in batch]


def deliver(batch: list[Work], answers: list[np.ndarray | None], began: float, ended: float) -> None:
    """Hand the answers of one call over and measure it."""
    metrics.batch_size.observe(len(batch))
    for work, answer in zip(batch, answers, strict=True):
        work.inference = (began, ended)
        if answer is None:
            work.fail(poisoned())
        else:
            work.succeed(answer)


def _settle() -> None:
    # Python 3.11 doesn't tell the kernel, which top, py-spy and perf ask; PR_SET_NAME is 15 (prctl(2)).
    ctypes.CDLL(None).prctl(15, b"inference", 0, 0, 0)
    # On a core that both share, the event loop goes first: it needs little, and all clients wait for it.
    # Relative, since only that is always permitted: the process may have been started as a modest one.
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICE)
