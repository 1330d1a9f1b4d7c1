"""A clock for what waits, so that minutes of patience take a moment."""

from __future__ import annotations

from dataclasses import dataclass

STEP = 5.0


@dataclass
class Clock:
    """Time that passes only while something waits, and then in steps."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, STEP)
