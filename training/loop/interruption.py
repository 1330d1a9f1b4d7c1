"""Stop a run on Ctrl-C, SIGTERM or SIGHUP, all workers at the same step. Imports no Keras."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import numpy as np

from training.distributed.workers import Workers
from training.errors import Interrupted, WorkersLost
from training.folders import resuming
from training.progress import console


class Interruption:
    """A request to stop. `requested` becomes true between two steps; with several workers, at the same step for all."""

    def __init__(self, workers: Workers, run: Path) -> None:
        self.requested = False
        self._run = run
        self._workers = workers
        self._asked = False
        self._steps = 0
        # In a Job nobody presses Ctrl-C: SIGINT and SIGTERM mean that the pod is removed, and a new pod resumes.
        self._pressed_by_nobody = workers.count > 1 and "JOB_COMPLETION_INDEX" in os.environ
        self._in_pod = "KUBERNETES_SERVICE_HOST" in os.environ

    def ask(self, signum: int) -> None:
        """Note a Ctrl-C, or another signal that means the same.

        Raises:
            Interrupted: it is the second one, or the pod is removed and its successor resumes.
        """
        if self._workers.count == 1 and self._in_pod and signum != signal.SIGINT:
            raise Interrupted(f"stopped by {signal.Signals(signum).name}")
        if self._asked:
            raise Interrupted("interrupted twice: stopped at once, nothing was published")
        self._asked = True
        if self._workers.count == 1:
            self.requested = True
        else:
            os.kill(os.getpid(), signal.SIGTERM)  # JAX handles it and makes all workers stop at the same step
        if not self._pressed_by_nobody:
            name = "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name
            console.print(
                f"{name}: keeping the best epoch so far; a second one stops at once. "
                f"To train further: {resuming(self._run)}",
                markup=False,
            )

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


@contextlib.contextmanager
def stoppable(workers: Workers, run: Path) -> Iterator[Interruption]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into a request to stop, the second into `Interrupted`."""
    interruption = Interruption(workers, run)
    signals = [signal.SIGINT]
    # JAX handles SIGTERM for several workers. A process of a search leaves it to the command, which repeats the trial.
    if workers.count == 1 and multiprocessing.parent_process() is None:
        signals += [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) != signal.SIG_IGN]

    def handle(signum: int, frame: FrameType | None) -> None:
        interruption.ask(signum)

    try:
        previous = {one: signal.signal(one, handle) for one in signals}
    except ValueError:  # signals can be handled in the main thread only; here, another program owns it
        yield interruption
        return
    try:
        yield interruption
    finally:
        for one, handler in previous.items():
            signal.signal(one, handler)
