"""One run in one process: when the next request is due, what happened to each, and the verdict."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from loadtests import shapes, slo
from loadtests.record import Record
from loadtests.shapes import Shape, Stage
from loadtests.slo import Figures, Level, Verdict

GRACE = 1.0
"""Seconds before the end within which a due request may still be unsent without counting as an error."""


@dataclass(frozen=True)
class Step:
    """A step in the search for the capacity."""

    rate: float
    """Requests per second."""
    verdict: Verdict


@dataclass
class Run:
    """A load test in progress, or ended; `start` makes it.

    Attributes:
        options: options of the command line.
        workers: number of processes that share the load.
        record: counts of this process; in the master, of all processes.
        steps: steps judged so far.
        seconds: duration, once the run has ended; nothing is sent after that.
        pending: requests of this process that wait for an answer.
        finals: number of workers that have sent their last counts.
    """

    options: Any
    shape: Shape
    levels: list[Level]
    workers: int
    record: Record = field(default_factory=Record)
    steps: list[Step] = field(default_factory=list)
    seconds: float | None = None
    pending: int = 0
    finals: int = 0

    def __post_init__(self) -> None:
        self.began = time.time()
        self._start = time.perf_counter()
        self._counted: dict[tuple[float, float], int] = {}
        self._arrivals: Iterator[float] = iter(())

    @classmethod
    def start(cls, options: Any, position: int | None = 0, workers: int = 1) -> Run:
        """Start a run now.

        Args:
            options: options of the command line.
            position: index of this process among those that share the load; None for one that sends nothing.
            workers: number of processes that share the load.

        Raises:
            ValueError: an option is invalid; the message is one line.
        """
        shape = shapes.load(options.shape or "steady", float(options.rate))
        levels = slo.parse(options.slo or "")
        if shape.steps and not levels:
            raise ValueError(f"--shape {options.shape} needs --slo: the levels that each rate must keep")
        run = cls(options, shape, levels, workers)
        if position is not None:
            run._arrivals = shape.arrivals(position, workers, options.arrivals == "poisson")
        return run

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def next_due(self) -> float | None:
        """Return when the next request of this process is due, in seconds since the start; None after the last."""
        return next(self._arrivals, None)

    def end(self) -> None:
        """Set the duration at the first call."""
        if self.seconds is None:
            self.seconds = self.now

    @property
    def due(self) -> int:
        """Number of requests due, except those so close to the end that they may still be unsent."""
        if self.seconds is None or self.seconds >= self.shape.seconds:
            last = min(self.now, self.shape.seconds)
        else:
            last = self.seconds - GRACE
        return max(self._due_between(0, last), self._sent)

    def _due_between(self, begin: float, end: float) -> int:
        if self.options.arrivals == "constant":
            return round(self.shape.due(end) - self.shape.due(begin))
        if (begin, end) not in self._counted:
            self._counted[begin, end] = self._count(begin, end)
        return self._counted[begin, end]

    def _count(self, begin: float, end: float) -> int:
        """Return the number of Poisson arrivals in between; the time to count them grows with their number."""
        count = 0
        for position in range(self.workers):
            for moment in self.shape.arrivals(position, self.workers, poisson=True):
                if moment >= end:
                    break
                count += moment >= begin
        return count

    @property
    def _sent(self) -> int:
        return sum(tally.sent for tally in self.record.routes.values())

    @property
    def unsent(self) -> int:
        """Number of requests that were due but not sent, because every user was waiting for an answer."""
        return self.due - self._sent

    def verdict(self) -> Verdict:
        """Judge the whole run. A request that was due and got no good answer is an error, even if it wasn't sent."""
        if self.steps:
            first = self.steps[0].verdict
            return Verdict(first.judged, first.requests)
        total = self.record.between(0, int(self.now) + 1)
        return slo.verdict(self.levels, Figures(self.due, self.due - total.good, total.latency.percentile))

    def judge(self, step: Stage) -> bool:
        """Judge a step after its answers have come, add it to `steps`, and return whether it kept the levels."""
        tally = self.record.between(step.begin, step.end)
        due = self._due_between(step.begin, step.end)
        figures = Figures(due, max(due - tally.good, 0), tally.latency.percentile)
        self.steps.append(Step(step.first, slo.verdict(self.levels, figures)))
        return self.steps[-1].verdict.holds

    @property
    def capacity(self) -> float | None:
        """Highest rate, in requests per second, that kept the levels; None if no step did or there were no steps."""
        return max((step.rate for step in self.steps if step.verdict.holds), default=None)

    def summary(self) -> str:
        """Return the verdict in one line."""
        if self.shape.steps:
            said = [f"capacity {self.capacity:.4g}/s" if self.capacity else "no rate kept the levels"]
            said += [f"at {step.rate:.4g}/s: {step.verdict}" for step in self.steps[-2:]]
        else:
            said = [str(self.verdict())]
        if self.unsent:
            said.append(f"{self.unsent} were due but not sent, because every user was waiting (see --users)")
        if self.record.errors:
            kind, count = self.record.errors.most_common(1)[0]
            said.append(f"most frequent error: {kind} ({count})")
        return "; ".join(said)
