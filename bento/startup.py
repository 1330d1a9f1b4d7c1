"""How long each phase of a start took, from the moment the kernel made this process. Measures, and never acts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

Phase = Literal["process", "imports", "server", "model", "warm_up"]

_ended: dict[Phase, float] = {}


def age() -> float:
    """Return the seconds that this process has lived, to a hundredth; 0 where the kernel doesn't tell."""
    try:
        # The name, in parentheses, may hold spaces.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def ended(phase: Phase) -> None:
    """A phase ends now; those before it must have ended already."""
    _ended.setdefault(phase, age())


def phases() -> dict[Phase, float]:
    """Return the seconds of each phase that has ended, in their order."""
    before = 0.0
    seconds: dict[Phase, float] = {}
    for phase, at in _ended.items():
        seconds[phase], before = at - before, at
    return seconds
