"""The micro-batcher: decoded images wait for the model and share its calls. It knows nothing of HTTP and decoding.

Everything runs on the event loop, except for the calls of the model, which have a thread of their own. Nothing polls:
a call starts when an image arrives, when the previous call ends, or when the batching delay is over.
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
from bento.models.runtime import Runtime, with_scores
from bento.telemetry import metrics

logger = logging.getLogger("image_classifier")

Start = Callable[[list[Work]], None]

_NICE = 5
"""Increment of the nice value of the model's thread (nice(2))."""


class Batcher:
    """Decide which images share the next call of the model, and when it starts.

    Args:
        start: starts a call with these images. After the call, `finished` must be called on the event loop.
        cost: the model's cost curve, which the code that runs the model updates.
        most: largest number of images per call.
        longest_wait: longest batching delay of an idle model, in seconds.
        loop: event loop, for its clock and timers.
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
        self._expected = 1
        self._timer: asyncio.TimerHandle | None = None

    def put(self, work: Work) -> None:
        """Queue one decoded image."""
        self._waiting.append(work)
        self._start_if_due()

    def finished(self, images: int) -> None:
        """Record that a call with this number of images has ended."""
        self._busy = False
        # Images that shared a call, or arrived during it, are likely to arrive together again.
        self._expected = max(images, len(self._waiting))
        self._start_if_due()

    def _start_if_due(self) -> None:
        if self._busy or not self._waiting:
            return
        size = self._cost.best_size(self._most)
        if len(self._waiting) >= min(self._expected, size):
            self._start_batch(size)
        elif self._timer is None:
            # Waiting costs at most as much as it can save, the fixed cost of a call. So a vain wait at most doubles
            # the cost of the call. It happens once, since the number expected is that of the last call: a lone client
            # isn't delayed again.
            wait = min(self._longest_wait, self._cost.line[1])
            self._timer = self._loop.call_later(wait, self._start_batch, size)

    def _start_batch(self, size: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch: list[Work] = []
        while self._waiting and len(batch) < size:
            work = self._waiting.popleft()
            if not work.drop_if_late(self._cost.seconds(len(batch) + 1)):
                batch.append(work)
        if batch:
            self._busy = True
            self._start(batch)


class InferenceThread:
    """Run the model in one thread, one call at a time.

    Args:
        run: the model.
        cost: the model's cost curve, updated after each call.
        loop: event loop on which the results of the images are set.
    """

    def __init__(self, run: Runtime, cost: CostCurve, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._cost = cost
        self._loop = loop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference", initializer=_prepare_thread)
        self._began: float | None = None
        self.finished: Callable[[int], None] = lambda _: None
        """Called on the event loop after each call of the model."""

    @property
    def busy_seconds(self) -> float:
        """Seconds that the present call has been running; 0 if there is none."""
        began = self._began
        return 0.0 if began is None else perf_counter() - began

    def start(self, batch: list[Work]) -> None:
        """Start a call. `finished` is called after it."""
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
        """End the thread, without waiting for a call in progress."""
        self._thread.shutdown(wait=False)


def classify(run: Runtime, batch: list[Work]) -> list[np.ndarray | None]:
    """Call the model with all images of `batch`; if that fails, with each alone, so that one can't fail the others.

    If an image of the batch is `scored`, it gets its scores. The probabilities are the same with and without them.

    Returns:
        The probabilities of each image, (C,) float32; None for an image on which the model fails.
    """
    try:
        images = np.stack([work.pixels for work in batch if work.pixels is not None])
        if not any(work.scored for work in batch):
            return list(run(images))
        probabilities, scores = with_scores(run, images)
        for work, row in zip(batch, scores, strict=True):
            work.scores = row if work.scored else None
        return list(probabilities)
    except Exception:
        # A runtime may raise anything. The other images can still be answered.
        if len(batch) == 1:
            logger.exception("the model failed on an image")
            return [None]
        return [classify(run, [work])[0] for work in batch]


def deliver(batch: list[Work], answers: list[np.ndarray | None], began: float, ended: float) -> None:
    """Deliver the answers of one call, and record its batch size and times."""
    metrics.batch_size.observe(len(batch))
    for work, answer in zip(batch, answers, strict=True):
        work.inference = (began, ended)
        if answer is None:
            work.fail(poisoned())
        else:
            work.succeed(answer)


def _prepare_thread() -> None:
    # Python 3.11 doesn't tell the kernel a thread's name, which top, py-spy and perf show. 15 is PR_SET_NAME.
    ctypes.CDLL(None).prctl(15, b"inference", 0, 0, 0)
    # On a shared core the event loop goes first: it needs little CPU, and all clients wait for it. The increment is
    # relative, because a process with a higher nice value may not lower it.
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICE)
