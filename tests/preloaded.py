"""Start `python -m training` by fork from a process that has imported TensorFlow, which saves half of a small run.

What runs is `training.__main__`, in a process with its own folder, environment, output and signals. Tests of other
backends, of several workers and of the README start Python itself.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import runpy
import selectors
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MODULES = ("tensorflow", "tf2onnx", "bentoml.models", "matplotlib.pyplot", "training.steps", "training.export.publish")
"""Their import starts no thread and makes no tensor, which would be unsafe to have in front of a fork."""


class Forked(subprocess.Popen[str]):
    """A training that was started by fork. It has those methods of `Popen` that the tests use."""

    def __init__(self, arguments: Sequence[str], pid: int, status: socket.socket, out: int, err: int) -> None:
        self.args, self.pid, self.returncode = arguments, pid, None
        self._status = status
        self.stdout, self.stderr = open(out), open(err)  # noqa: SIM115 - communicate() closes them

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            with selectors.DefaultSelector() as ready:
                ready.register(self._status, selectors.EVENT_READ)
                if not ready.select(timeout):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._status.recv(16))
            self._status.close()
        return self.returncode

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:  # noqa: A002
        assert self.stdout is not None
        assert self.stderr is not None
        if self.stdout.closed:
            return "", ""
        with ThreadPoolExecutor(2) as readers, self.stdout, self.stderr:
            texts = [readers.submit(stream.read) for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            out, err = (text.result() for text in texts)
        return out, err


def start(arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Forked:
    """Start `python -m training` with `arguments`."""
    status, theirs = socket.socketpair()
    out, err = os.pipe(), os.pipe()
    asked = json.dumps({"arguments": list(arguments), "cwd": str(cwd), "environment": dict(environment)}).encode()
    with theirs:
        socket.send_fds(_server(), [asked], [theirs.fileno(), out[1], err[1]])
        pid = int(status.recv(16))
    os.close(out[1])
    os.close(err[1])
    return Forked(["training", *arguments], pid, status, out[0], err[0])


@functools.cache
def _server() -> socket.socket:
    """Return a connection to this process's server, which ends when the connection does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen([sys.executable, "-m", __name__, str(theirs.fileno())], pass_fds=[theirs.fileno()])
    atexit.register(server.wait)
    atexit.register(ours.close)  # is called first
    return ours


def _serve(requests: socket.socket) -> None:
    running: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as events:
        events.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in events.select():
                if key.fileobj is not requests:
                    pid, status = running.pop(key.fd)
                    events.unregister(key.fd)
                    os.close(key.fd)
                    _, code = os.waitpid(pid, 0)
                    with status, contextlib.suppress(BrokenPipeError):
                        status.send(b"%d" % os.waitstatus_to_exitcode(code))
                    continue
                message, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 3)
                if not message:
                    return
                pid = os.fork()
                if pid == 0:
                    events.close()
                    requests.close()
                    for _, status in running.values():
                        status.close()
                    _become(json.loads(message), *descriptors)
                status = socket.socket(fileno=descriptors[0])
                for descriptor in descriptors[1:]:
                    os.close(descriptor)
                status.send(b"%d" % pid)
                handle = os.pidfd_open(pid)
                running[handle] = (pid, status)
                events.register(handle, selectors.EVENT_READ)


def _become(asked: dict[str, Any], status: int, out: int, err: int) -> None:
    """Make this process one that a shell would have started."""
    os.close(status)
    for descriptor, standard in ((out, 1), (err, 2)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["training", *asked["arguments"]]
    sys.path.insert(0, asked["cwd"])
    runpy.run_module("training", run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    from training.environment import import_keras

    import_keras()
    for name in MODULES:
        __import__(name)
    gc.freeze()  # collecting these objects in a child would copy their memory
    _serve(socket.socket(fileno=int(sys.argv[1])))
