"""Start, watch, replace and end the processes of a search on this machine."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from types import FrameType
from typing import TYPE_CHECKING, Any

from training.errors import Interrupted, TrainingError
from training.progress import console
from training.tune import study as studies
from training.tune.plan import Plan
from training.tune.storage import alone
from training.tune.worker import Failure, work

if TYPE_CHECKING:
    from optuna import Study

logger = logging.getLogger(__name__)

_LOOK = 1.0
"""Seconds between looks at the study."""


class WorkerFailed(TrainingError):
    """A process of the search gave up; `code` is its exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = code


@dataclass(frozen=True)
class _Worker:
    name: str
    place: int
    process: Any
    answers: Any


def run(plan: Plan, study: Study, look: Callable[[], None]) -> bool:
    """Do the trials of the plan; call `look` about every second. Return whether Ctrl-C ended the search early.

    Raises:
        Interrupted: a second Ctrl-C, SIGTERM or SIGHUP; the running trials are queued again.
        WorkerFailed: a process gave up.
    """
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with _signals(stop):
        crew = [_start(context, plan, place, stop) for place in range(plan.processes)]
        try:
            while crew:
                connection.wait([worker.process.sentinel for worker in crew], timeout=_LOOK)
                look()
                for worker in [worker for worker in crew if not worker.process.is_alive()]:
                    crew.remove(worker)
                    if _was_killed(plan, study, worker) and not stop.is_set():
                        crew.append(_start(context, plan, worker.place, stop))
        finally:
            for worker in crew:
                worker.process.kill()
                worker.process.join()
            _queue_again(plan, study, {worker.name for worker in crew})
    look()
    return stop.is_set()


def is_own(name: str) -> bool:
    """Return whether the process called `name` belongs to this command."""
    return name.startswith(_prefix())


def _prefix() -> str:
    return f"{os.uname().nodename}-{os.getpid()}-"


def _start(context: Any, plan: Plan, place: int, stop: Any) -> _Worker:
    name = f"{_prefix()}{place}-{uuid.uuid4().hex[:6]}"
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(plan, name, place, stop, theirs), name=name)
    # The terminal sends Ctrl-C to the whole process group, but only the command handles it. A process inherits what is
    # blocked. If it blocked the signal itself, threads that a library has started before could still take it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return _Worker(name, place, process, ours)


def _was_killed(plan: Plan, study: Study, worker: _Worker) -> bool:
    """Return whether a process that has ended was killed during a trial; if so, queue the trial again.

    Raises:
        WorkerFailed: the process gave up, or was killed before it had a trial.
    """
    worker.process.join()
    code = worker.process.exitcode
    if code == 0:
        return False
    try:
        failure: Failure = worker.answers.recv()
    except EOFError:
        why = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if not _queue_again(plan, study, {worker.name}):
            log = plan.out / f"worker-{worker.place}.log"
            raise WorkerFailed(f"a process of the search ended with {why} before its first trial; see {log}") from None
        logger.warning("a process of the search was killed by %s (out of memory?); its trial is repeated", why)
        return True
    raise WorkerFailed(failure.message, failure.exit_code)


def _queue_again(plan: Plan, study: Study, names: set[str]) -> int:
    if not names:
        return 0
    with alone(plan.storage):
        return studies.requeue(study, lambda trial: trial.user_attrs.get(studies.WORKER) in names)


@contextmanager
def _signals(stop: Any) -> Iterator[None]:
    """Turn the first Ctrl-C into a request to stop; raise `Interrupted` at the second, SIGTERM and SIGHUP."""

    def handle(number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT or stop.is_set():
            raise Interrupted("interrupted")
        stop.set()
        console.print("Ctrl-C: stopping after the trials that are running. Press Ctrl-C again to stop at once.")

    ours = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        ours.append(signal.SIGHUP)
    previous = {number: signal.signal(number, handle) for number in ours}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
