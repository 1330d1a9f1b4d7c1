"""Run a worker of a distributed training as a child process, and turn its abort into one line and an exit code.

JAX's coordination service aborts a process when another worker has stopped. Only a parent process can report that. A
training by one process is not supervised.
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
from commandline.output import stream
from training.distributed import workers
from training.errors import WorkersApart, WorkersLost

_PIPES = "IMAGE_CLASSIFIER_WORKER"
"""Environment variable of the child: the file descriptors of a pipe that closes when this process exits, and of its
standard output and error."""


def run(main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run `main` and return its exit code. A worker of several runs it in a child process."""
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
            stdout=native,  # gloo prints messages of its own there
            stderr=native,
            pass_fds=inherited,
            start_new_session=True,  # only this process gets a terminal's Ctrl-C; it passes it on once
        )
        for number in inherited:
            os.close(number)

        def pass_on(signum: int, frame: FrameType | None) -> None:
            # A terminal that is closed stops the workers from outside, as the end of a pod does.
            process.send_signal(signal.SIGTERM if signum == signal.SIGHUP else signum)

        signal.signal(signal.SIGINT, pass_on)
        signal.signal(signal.SIGTERM, pass_on)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, pass_on)
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
        message = workers.lost(index, reason[1] if reason else "reported by the coordination service")
        code = WorkersLost.exit_code
    else:
        last = (native.strip().splitlines() or ["it wrote no message"])[-1]
        message = f"worker {index} was stopped by {signal.Signals(signum).name}: {last[:200]}"
    show_error(message)
    return code


def _below(main: Callable[[list[str]], int], arguments: list[str]) -> int:
    alive, *said = (int(number) for number in os.environ.pop(_PIPES).split())
    for inherited in (alive, *said):
        os.set_inheritable(inherited, False)  # decoders must not inherit them
    sys.stdout, sys.stderr = (stream(number, "utf-8") for number in said)

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
    # A normal exit would wait in JAX for workers that have stopped.
    os._exit(code)
