"""Write answers to standard output and errors to standard error."""

from __future__ import annotations

import os
import sys


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
