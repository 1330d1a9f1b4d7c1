"""One worker of several as a process under this one, which stays small and outlives it.

JAX's coordination service ends a process by abort() where another worker is gone. Only from outside can that become
one line and an exit code. Alone, there is nothing to supervise.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from types import FrameType

from commandline import show_error
from training.distributed import workers
from training.errors import WorkersApart, WorkersLost

_PIPES = "IMAGE_CLASSIFIER_WORKER"
"""In the environment of the process below: a pipe that ends with us, our standard output and error, by number."""


def run(main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Return the exit code of `main`, which runs here or, as one of several workers, in a process of its own."""
    if _PIPES in os.environ:
        return _below(main, arguments)
    several = os.environ.get(workers.COUNT, "1") not in ("", "1")
    return _supervise(arguments) if several else main(arguments)


def _supervise(arguments: list[str]) -> int:
    alive, ours = os.pipe()
    inherited = (alive, os.dup(1), os.dup(2))
    environment = os.environ | {_PIPES: " ".join(map(str, inherited))}
    with tempfile.TemporaryFile() as native:
        process = subprocess.Popen(
            [sys.executable, "-m", "training", *arguments],
            env=environment,
            stdout=native,  # gloo, too, tells of itself
            stderr=native,
            pass_fds=inherited,
            start_new_session=True,  # a terminal's Ctrl-C comes to us, and is passed on once
        )
        for number in inherited:
            os.close(number)

        def pass_on(signum: int, frame: FrameType | None) -> None:
            process.send_signal(signum)

        signal.signal(signal.SIGINT, pass_on)
        signal.signal(signal.SIGTERM, pass_on)
        code = process.wait()
        os.close(ours)
        if code >= 0:
            return code
        native.seek(0)
        return _explain(-code, native.read().decode(errors="replace"))


def _explain(signum: int, native: str) -> int:
    """Say in one line what ended the process; `native` is what its libraries wrote."""
    index, code = int(os.environ.get(workers.INDEX) or 0), 128 + signum
    if signum == signal.SIGABRT and "DEADLINE_EXCEEDED" in native and "RegisterTask" in native:
        message, code = workers.apart(workers.from_environment()), WorkersApart.exit_code
    elif signum == signal.SIGABRT and "distributed service" in native:
        reason = re.search(r"absl::Status: (\w+: [^\n]*?)(?:\.|\n|$)", native)
        message = workers.lost(index, reason[1] if reason else "the coordination service says so")
        code = WorkersLost.exit_code
    else:
        last = (native.strip().splitlines() or ["it wrote nothing"])[-1]
        message = f"worker {index} was ended by {signal.Signals(signum).name}: {last[:200]}"
    show_error(message)
    return code


def _below(main: Callable[[list[str]], int], arguments: list[str]) -> int:
    alive, *said = (int(number) for number in os.environ.pop(_PIPES).split())
    for inherited in (alive, *said):
        os.set_inheritable(inherited, False)  # nor by the processes that decode
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace") for number in said
    )

    def end_with_parent() -> None:
        os.read(alive, 1)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        code = main(arguments)
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # At exit JAX would wait for workers that are gone.
    os._exit(code)
