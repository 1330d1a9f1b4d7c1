"""Stop a run on Ctrl-C or SIGTERM, all workers at the same step. Imports no Keras."""

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
    """A request to stop. `requested` becomes true between two steps; with several workers, at the same step for all."""

    def __init__(self, workers: Workers) -> None:
        self.requested = False
        self._workers = workers
        self._asked = False
        self._steps = 0
        # In a Job nobody presses Ctrl-C: SIGINT and SIGTERM mean that the pod is removed, and a new pod resumes.
        self._pressed_by_nobody = workers.count > 1 and "JOB_COMPLETION_INDEX" in os.environ

    def ask(self) -> None:
        """Note a Ctrl-C.

        Raises:
            Interrupted: it is the second one.
        """
        if self._asked:
            raise Interrupted("interrupted twice: stopped at once, nothing was published")
        self._asked = True
        if self._workers.count == 1:
            self.requested = True
        else:
            os.kill(os.getpid(), signal.SIGTERM)  # JAX handles it and makes all workers stop at the same step
        if not self._pressed_by_nobody:
            console.print("Ctrl-C: keeping the best epoch so far; press it again to stop at once.")

    def step(self) -> bool:
        """Return whether to stop after the step that has just ended."""
        if self._workers.count > 1:
            from jax.experimental import multihost_utils

            self._steps += 1
            self.requested = self.requested or multihost_utils.reached_preemption_sync_point(self._steps)
        return self.requested

    def settle(self, epochs: int) -> None:
        """Make all stopped workers do the same: keep the best of `epochs`, or exit so that all are restarted.

        Raises:
            WorkersLost: the cause was SIGTERM or the end of a pod, not Ctrl-C.
        """
        if self._workers.count == 1 or not self.requested:
            return
        from jax.experimental import multihost_utils

        pressed = np.array(self._asked and not self._pressed_by_nobody)
        if not np.any(multihost_utils.process_allgather(pressed)):
            raise WorkersLost(f"stopped from outside after {epochs} complete epochs; continue with --resume")


@contextmanager
def ctrl_c(workers: Workers) -> Iterator[Interruption]:
    """Turn the first Ctrl-C into a request to stop, the second into `Interrupted`."""
    interruption = Interruption(workers)

    def handle(signum: int, frame: FrameType | None) -> None:
        interruption.ask()

    try:
        previous = signal.signal(signal.SIGINT, handle)
    except ValueError:  # signals can be handled in the main thread only; here, another program owns it
        yield interruption
        return
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, previous)
