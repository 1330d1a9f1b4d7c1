"""Measure how long each phase of a start took, since the kernel created this process."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

Phase = Literal["process", "imports", "server", "model", "warm_up"]

_ended: dict[Phase, float] = {}


def age() -> float:
    """Return the age of this process in seconds, to a hundredth; 0 if the kernel doesn't report it."""
    try:
        # The name, in parentheses, may contain spaces.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def ended(phase: Phase) -> None:
    """Record that a phase ends now. Earlier phases must have ended already."""
    _ended.setdefault(phase, age())


def phases() -> dict[Phase, float]:
    """Return the seconds of each phase that has ended, in order."""
    before = 0.0
    seconds: dict[Phase, float] = {}
    for phase, at in _ended.items():
        seconds[phase], before = at - before, at
    return seconds
