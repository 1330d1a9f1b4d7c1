"""Whether a run is to stop: asked for by a signal, and by all workers at the same step. Knows nothing of Keras."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np

from training.distributed.workers import Workers
from training.errors import Interrupted, WorkersLost
from training.progress import console


class Interruption:
    """`requested` becomes true between two steps: alone at the next one, among workers at one that all reach."""

    def __init__(self, workers: Workers) -> None:
        self.requested = False
        self._workers = workers
        self._asked = False
        self._steps = 0
        # In a Job nobody presses Ctrl-C: the pod is taken away, and another one goes on.
        self._pressed_by_nobody = workers.count > 1 and "JOB_COMPLETION_INDEX" in os.environ

    def ask(self) -> None:
        """Take note of a Ctrl-C.

        Raises:
            Interrupted: it is the second.
        """
        if self._asked:
            raise Interrupted("interrupted twice: stopped at once, nothing was published")
        self._asked = True
        if self._workers.count == 1:
            self.requested = True
        else:
            os.kill(os.getpid(), signal.SIGTERM)  # JAX listens to this one, and has all stop at one step
        if not self._pressed_by_nobody:
            console.print("Ctrl-C: keeping the best epoch so far; once more stops at once.")

    def step(self) -> bool:
        """Return whether to stop after the step that was just made."""
        if self._workers.count > 1:
            from jax.experimental import multihost_utils

            self._steps += 1
            self.requested = self.requested or multihost_utils.reached_preemption_sync_point(self._steps)
        return self.requested

    def settle(self, epochs: int) -> None:
        """Have all workers do the same after they stopped: keep the best of `epochs`, or end to be started again.

        Raises:
            WorkersLost: it was no Ctrl-C, but SIGTERM or the end of a pod.
        """
        if self._workers.count == 1 or not self.requested:
            return
        from jax.experimental import multihost_utils

        pressed = np.array(self._asked and not self._pressed_by_nobody)
        if not np.any(multihost_utils.process_allgather(pressed)):
            raise WorkersLost(f"stopped from outside after {epochs} whole epochs; --resume goes on")


@contextmanager
def ctrl_c(workers: Workers) -> Iterator[Interruption]:
    """Turn the first Ctrl-C into a request to stop, the second into `Interrupted`."""
    interruption = Interruption(workers)

    def handle(signum: int, frame: FrameType | None) -> None:
        interruption.ask()

    try:
        previous = signal.signal(signal.SIGINT, handle)
    except ValueError:  # not the main thread: whoever runs that one handles Ctrl-C
        yield interruption
        return
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, previous)
