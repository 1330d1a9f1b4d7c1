"""Parse service levels such as `p99=200ms,errors=0`, and judge figures by them. Knows no load generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """What a run measured."""

    requests: int
    """Requests that were due."""
    errors: int
    """Due requests without a good answer."""
    percentile: Callable[[float], float]
    """Returns the response time in milliseconds for a share in 0..1."""


@dataclass(frozen=True)
class Level:
    """One service level."""

    name: str
    limit: float
    """Milliseconds, number of errors, or share of the requests."""
    text: str
    """The limit as the user wrote it."""
    share: bool = False
    """Whether the limit of errors is a share of the requests."""

    def judge(self, figures: Figures) -> Judged:
        """Return whether the figures keep the level, and how they compare with the limit."""
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
    """A service level and its result."""

    level: str
    holds: bool
    text: str


@dataclass(frozen=True)
class Verdict:
    """The results of all levels. A run without requests proves nothing and misses them all."""

    judged: tuple[Judged, ...]
    requests: int

    @property
    def holds(self) -> bool:
        """Whether all levels were kept."""
        return self.requests > 0 and all(judged.holds for judged in self.judged)

    def __str__(self) -> str:
        """Return one line with every figure."""
        if not self.requests:
            return "no request was due"
        return "; ".join(judged.text for judged in self.judged) or f"{self.requests} requests"


def parse(text: str) -> list[Level]:
    """Read `p99=200ms,p50=0.1s,errors=0.1%`.

    Raises:
        ValueError: an entry isn't a service level.
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
    """Judge figures by levels."""
    return Verdict(tuple(level.judge(figures) for level in levels), figures.requests)
