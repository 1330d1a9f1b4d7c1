"""Name every exit code of the command lines. What a code means for one program stands in that program's help."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of `python -m training`, `python -m k8s` and `python -m cluster`.

    2 is argparse's own, 69 and 75 are those of sysexits.h, 130 is a shell's for Ctrl-C.
    """

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    FORBIDDEN = 5
    BUSY = 6
    NOT_UNDONE = 7
    WORKERS_APART = 69
    WORKERS_LOST = 75
    INTERRUPTED = 130
