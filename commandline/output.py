"""Write answers to standard output and errors to standard error."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any, TextIO


def protect() -> None:
    """Let standard output and error never fail: what is printed doesn't decide a command's exit code.

    What can't be encoded is escaped. What can't be written, because the reader has gone, the disk is full or the stream
    was closed, is dropped. A program calls this first of all.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file to be opened would get its number, and the output
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = stream(1, sys.stdout.encoding if sys.stdout else "utf-8")
    sys.stderr = stream(2, sys.stderr.encoding if sys.stderr else "utf-8")


def stream(descriptor: int, encoding: str) -> TextIO:
    """Return a text stream to `descriptor` that never fails, and writes each line at once."""
    raw = io.BufferedWriter(_Unfailing(descriptor, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)


class _Unfailing(io.FileIO):
    def write(self, data: Any, /) -> int:
        """Write `data`, or drop it."""
        with contextlib.suppress(OSError):
            return super().write(data) or len(data)  # nothing is written where a pipe would block
        return len(data)


def write(text: str) -> None:
    """Write `text` to standard output at once, or drop it if the reader, such as `head`, has closed the pipe."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes standard output once more at exit, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_error(message: str) -> None:
    """Write `error: MESSAGE` to standard error as one line, in red on a terminal unless NO_COLOR is set."""
    line = "error: " + " ".join(part.strip() for part in message.splitlines())
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        line = f"\033[31m{line}\033[0m"
    sys.stderr.write(f"{line}\n")
