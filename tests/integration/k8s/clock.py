"""A clock for waiting code, so that tests needn't wait for minutes."""

from __future__ import annotations

from dataclasses import dataclass

STEP = 5.0


@dataclass
class Clock:
    """Time that passes only while code sleeps, at least one STEP each time."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, STEP)
