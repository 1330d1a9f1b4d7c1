"""The processes that decode images."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, TypeVar

from training.errors import DataError, UsageError

Done = TypeVar("Done")

_UNGUARDED = 77
"""Exit code of a decoder that ran the caller's script again instead of decoding."""


def end_unguarded() -> None:
    """End this process if it is a decoder that is still importing the caller's script, which calls a training again.

    A spawned process imports the script. Without a `__main__` guard there, it would wait for its own parent for ever.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(_UNGUARDED)


def run(decode: Callable[..., Done], tasks: Sequence[tuple[Any, ...]], count: int, *, waits: bool) -> Iterator[Done]:
    """Yield the result of `decode` for the arguments of each task, in any order.

    Args:
        decode: a function of a module, which the processes import.
        tasks: its arguments, at least one task.
        count: the number of processes. Without need for one, none is started.
        waits: whether `decode` waits for the network, so that this process had better not do it.

    Raises:
        DataError: a process was killed, or none can be started.
        UsageError: the script that calls has no `__main__` guard.
    """
    if not waits and (count == 1 or len(tasks) == 1):
        yield from itertools.starmap(decode, tasks)
        return
    context = _SpawnContext()
    ended, end = context.Pipe(duplex=False)
    try:
        pool = ProcessPoolExecutor(min(count, len(tasks)), context, initializer=_end_with_parent, initargs=(ended,))
    except OSError as error:  # its queues need semaphores
        advice = "make it writable, or pass --decoders 1"
        raise DataError(f"decoder processes need /dev/shm: {error.strerror}; {advice}") from error
    try:
        # Submit a few tasks at a time: the queue holds a copy of each list of files.
        waiting = iter(tasks)
        running = {pool.submit(decode, *task) for task in itertools.islice(waiting, 4 * count)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                running |= {pool.submit(decode, *task) for task in itertools.islice(waiting, 1)}
                yield future.result()
        pool.shutdown()
    except BrokenProcessPool:
        pool.shutdown()  # until all have ended and left their exit codes
        if any(process.exitcode == _UNGUARDED for process in context.started):
            raise UsageError(
                "the script that calls a training runs it in each decoder process too; put the call below "
                "if __name__ == '__main__':"
            ) from None
        raise DataError("a decoder process was killed (out of memory?); try --decoders 1") from None
    finally:
        end.close()  # this stops decoders in the middle of their tasks
        pool.shutdown(cancel_futures=True)
        ended.close()


class _SpawnContext(SpawnContext):
    """Spawns processes, because a fork of one with threads (a notebook's, TensorFlow's) can hang; keeps them all.

    `multiprocessing.active_children` forgets those that have ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]
        self.started.append(SpawnProcess(*args, **options))
        return self.started[-1]


def _end_with_parent(ended: connection.Connection) -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole process group; the parent stops its decoders
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel, ended])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
