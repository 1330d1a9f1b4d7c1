"""Read rates over time from shapes.toml or a similar file, and say when each request is due. Sends nothing."""

from __future__ import annotations

import math
import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUILT_IN = Path(__file__).with_name("shapes.toml")


@dataclass(frozen=True)
class Stage:
    """A period in which the rate changes linearly.

    Attributes:
        begin: seconds since the start of the run.
        seconds: duration; may be infinite if the rate is constant.
        first, last: requests per second at the beginning and at the end.
    """

    begin: float
    seconds: float
    first: float
    last: float

    @property
    def end(self) -> float:
        """Seconds from the start of the run to the end of the stage."""
        return self.begin + self.seconds

    @property
    def slope(self) -> float:
        """Change of the rate per second."""
        return 0.0 if self.first == self.last else (self.last - self.first) / self.seconds

    @property
    def requests(self) -> float:
        """Number of requests due in the stage."""
        return self.due(self.end)

    def due(self, moment: float) -> float:
        """Return the number of requests due in the stage up to `moment`, in seconds since the start of the run."""
        passed = min(max(moment - self.begin, 0.0), self.seconds)
        return passed * (self.first + self.slope * passed / 2 if self.slope else self.first) if passed else 0.0

    def moment(self, requests: float) -> float:
        """Return the moment when this many requests are due: the inverse of `due`."""
        root = math.sqrt(max(self.first * self.first + 2 * self.slope * requests, 0.0))
        return self.begin + (2 * requests / (self.first + root) if requests else 0.0)


@dataclass(frozen=True)
class Shape:
    """Stages, one after the other.

    Attributes:
        steps: stages that are judged one by one until one misses a service level; empty for most shapes.
        pause: seconds after a step within which its answers still count.
    """

    stages: tuple[Stage, ...]
    steps: tuple[Stage, ...] = ()
    pause: float = field(default=0.0)

    @property
    def seconds(self) -> float:
        """Duration; infinite if the shape has no end."""
        return self.stages[-1].end

    def due(self, moment: float) -> float:
        """Return the number of requests due up to `moment`, in seconds since the start."""
        return sum(stage.due(moment) for stage in self.stages)

    def arrivals(self, position: int = 0, of: int = 1, poisson: bool = False) -> Iterator[float]:
        """Yield when each request is due, in seconds since the start.

        Args:
            position: index of this generator, which yields every `of`-th request, starting with this one.
            of: number of generators that share the load.
            poisson: use the exponential gaps of independent clients instead of equal gaps. Each generator has
                its own sequence, the same in every run.
        """
        gaps = random.Random(position)
        before, due = 0.0, gaps.expovariate(1 / of) if poisson else float(position)
        for stage in self.stages:
            while due - before < stage.requests:
                yield stage.moment(due - before)
                due += gaps.expovariate(1 / of) if poisson else of
            before += stage.requests


def names() -> list[str]:
    """Return the names of the built-in shapes."""
    return list(_read(BUILT_IN))


def load(name: str, rate: float) -> Shape:
    """Return a shape for a rate in requests per second.

    Args:
        name: name of a built-in shape, or path of a TOML file with one shape.
        rate: requests per second that the shape's multiples refer to.

    Raises:
        ValueError: the shape doesn't exist or is invalid; the message is one line.
    """
    if not rate > 0 or math.isinf(rate):
        raise ValueError(f"--rate {rate:g}: must be above 0 requests per second")
    if not name.endswith(".toml"):
        found = _read(BUILT_IN)
        if name not in found:
            raise ValueError(f"--shape {name}: unknown; choose {', '.join(found)}, or a file NAME.toml")
        return _shape(found[name], rate, name)
    found = _read(Path(name))
    if len(found) != 1:
        raise ValueError(f"--shape {name}: must have one table, but has {len(found)}")
    return _shape(next(iter(found.values())), rate, name)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"--shape {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"--shape {path}: {error}") from error


def _shape(table: Any, rate: float, name: str) -> Shape:
    try:
        if "steps" in table:
            return _staircase(**table["steps"], rate=rate)
        stages: list[Stage] = []
        for entry in table["stages"]:
            begin = stages[-1].end if stages else 0.0
            stages.append(_stage(begin, rate, dict(entry)))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error).removeprefix("_staircase() ")
        raise ValueError(f"--shape {name}: {said}") from error
    if not stages:
        raise ValueError(f"--shape {name}: has no stages")
    if any(math.isinf(stage.seconds) for stage in stages[:-1]):
        raise ValueError(f"--shape {name}: only the last stage may omit seconds")
    return Shape(tuple(stages))


def _stage(begin: float, rate: float, entry: dict[str, Any]) -> Stage:
    last = float(entry.pop("rate"))
    first = float(entry.pop("from", last))
    seconds = float(entry.pop("seconds", math.inf))
    if entry:
        raise ValueError(f"unknown key {', '.join(entry)}; a stage has seconds, from and rate")
    if min(first, last) < 0 or not seconds > 0:
        raise ValueError("rates must be at least 0, and seconds above 0")
    if math.isinf(seconds) and (first != last or last == 0):
        raise ValueError("a stage without seconds needs a constant rate above 0")
    return Stage(begin, seconds, rate * first, rate * last)


def _staircase(*, seconds: float, pause: float, growth: float, most: int, rate: float) -> Shape:
    if not seconds > 0 or pause < 0 or not growth > 1 or most < 1:
        raise ValueError("steps need seconds > 0, pause >= 0, growth > 1 and most >= 1")
    stages, steps, begin = [], [], 0.0
    for step in range(most):
        high = rate * growth**step
        steps.append(Stage(begin, seconds, high, high))
        stages += [steps[-1], Stage(begin + seconds, pause, 0.0, 0.0)]
        begin = stages[-1].end
    return Shape(tuple(stages), tuple(steps), pause)
