"""Service levels as text, `p99=200ms,errors=0`, and the verdict on figures. Pure: knows no load generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """What a run measured."""

    requests: int
    """That were due."""
    errors: int
    """Of those, what got no good answer."""
    percentile: Callable[[float], float]
    """Of the response time: share in 0..1 to milliseconds."""


@dataclass(frozen=True)
class Level:
    """One condition."""

    name: str
    limit: float
    """Milliseconds, errors, or a share of the requests."""
    text: str
    """The limit as it was written."""
    share: bool = False
    """For errors: the limit is a share of the requests."""

    def judge(self, figures: Figures) -> Judged:
        """Return whether it holds, and how the figure compares."""
        if self.name == "errors":
            value = figures.errors / max(figures.requests, 1) if self.share else float(figures.errors)
            shown = f"{100 * value:.2f}%" if self.share else f"{figures.errors}"
            shown = f"errors {shown} of {figures.requests}"
        else:
            value = figures.percentile(float(self.name[1:]) / 100)
            shown = f"{self.name} {value:.0f} ms"
        holds = value <= self.limit
        return Judged(f"{self.name}={self.text}", holds, f"{shown} {'<=' if holds else '>'} {self.text}")


@dataclass(frozen=True)
class Judged:
    """A level, and what came of it."""

    level: str
    holds: bool
    text: str


@dataclass(frozen=True)
class Verdict:
    """All levels, judged; a run without requests proves nothing and keeps none."""

    judged: tuple[Judged, ...]
    requests: int

    @property
    def holds(self) -> bool:
        """Whether all do."""
        return self.requests > 0 and all(judged.holds for judged in self.judged)

    def __str__(self) -> str:
        """One line with every figure."""
        if not self.requests:
            return "no request was due"
        return "; ".join(judged.text for judged in self.judged) or f"{self.requests} requests"


def parse(text: str) -> list[Level]:
    """Read `p99=200ms,p50=0.1s,errors=0.1%`.

    Raises:
        ValueError: an entry isn't one.
    """
    return [_level(entry.strip()) for entry in text.split(",") if entry.strip()]


def _level(entry: str) -> Level:
    name, _, limit = entry.partition("=")
    try:
        if name == "errors" and limit.endswith("%"):
            return Level(name, float(limit[:-1]) / 100, limit, share=True)
        if name == "errors":
            return Level(name, float(limit), limit)
        if name.startswith("p") and 0 < float(name[1:]) < 100:
            if limit.endswith("ms"):
                return Level(name, float(limit[:-2]), limit)
            if limit.endswith("s"):
                return Level(name, 1000 * float(limit[:-1]), limit)
    except ValueError:
        pass
    raise ValueError(f"{entry}: write p99=200ms, errors=0 or errors=0.1%")


def verdict(levels: list[Level], figures: Figures) -> Verdict:
    """Hold figures against levels."""
    return Verdict(tuple(level.judge(figures) for level in levels), figures.requests)
