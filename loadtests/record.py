"""What happened in a run: per second of the intended time, per route, and every kind of error. Sums over processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from loadtests.histogram import Histogram

_KINDS = 100
"""Of errors kept apart; a service that answers each request with other words makes as many kinds."""


@dataclass
class Tally:
    """Counts of some requests, and how long those answered well took, in milliseconds from when they were due."""

    sent: int = 0
    good: int = 0
    failed: int = 0
    latency: Histogram = field(default_factory=Histogram)

    def merge(self, other: Tally) -> None:
        """Count all of another's."""
        self.sent += other.sent
        self.good += other.good
        self.failed += other.failed
        self.latency.merge(other.latency)

    def plain(self) -> list[Any]:
        """Return lists and numbers alone, which another process makes a `Tally` of."""
        return [self.sent, self.good, self.failed, self.latency.pairs()]

    @classmethod
    def of(cls, plain: list[Any]) -> Tally:
        """Undo `plain`."""
        sent, good, failed, pairs = plain
        return cls(sent, good, failed, Histogram((bucket, count) for bucket, count in pairs))


@dataclass
class Record:
    """A run, or what a worker adds to it.

    Attributes:
        seconds: by the second in which requests were due.
        routes: by the route that they went to.
        errors: how often each kind occurred.
        versions: answers by the model that gave them.
        lateness: milliseconds from when a request was due until it was sent.
    """

    seconds: dict[int, Tally] = field(default_factory=dict)
    routes: dict[str, Tally] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    lateness: Histogram = field(default_factory=Histogram)

    def send(self, due: float, route: str, late: float) -> None:
        """Count a request that is being sent.

        Args:
            due: seconds since the start of the run.
            route: where it goes.
            late: seconds since it was due.
        """
        self.lateness.add(1000 * late)
        for tally in self._tallies(due, route):
            tally.sent += 1

    def answer(self, due: float, route: str, milliseconds: float, error: str | None, version: str = "") -> None:
        """Count an answer, `milliseconds` after it was due, or the error in its place."""
        if version:
            self.versions[version] += 1
        if error is not None:
            self.errors[error if error in self.errors or len(self.errors) < _KINDS else "other errors"] += 1
        for tally in self._tallies(due, route):
            if error is None:
                tally.good += 1
                tally.latency.add(milliseconds)
            else:
                tally.failed += 1

    def lose(self, due: float, route: str, error: str) -> None:
        """Count a request that couldn't even be made."""
        self.send(due, route, 0)
        self.answer(due, route, 0, error)

    def _tallies(self, due: float, route: str) -> tuple[Tally, Tally]:
        return self.seconds.setdefault(int(due), Tally()), self.routes.setdefault(route, Tally())

    def between(self, begin: float, end: float) -> Tally:
        """Return all requests due from one whole second up to another."""
        total = Tally()
        for second, tally in self.seconds.items():
            if begin <= second < end:
                total.merge(tally)
        return total

    def merge(self, other: Record) -> None:
        """Count all of another's."""
        for second, tally in other.seconds.items():
            self.seconds.setdefault(second, Tally()).merge(tally)
        for route, tally in other.routes.items():
            self.routes.setdefault(route, Tally()).merge(tally)
        self.errors.update(other.errors)
        self.versions.update(other.versions)
        self.lateness.merge(other.lateness)

    def plain(self) -> dict[str, Any]:
        """Return lists and numbers alone, which another process makes a `Record` of."""
        return {
            "seconds": [[second, tally.plain()] for second, tally in self.seconds.items()],
            "routes": [[route, tally.plain()] for route, tally in self.routes.items()],
            "errors": list(self.errors.items()),
            "versions": list(self.versions.items()),
            "lateness": self.lateness.pairs(),
        }

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Record:
        """Undo `plain`."""
        return cls(
            {second: Tally.of(tally) for second, tally in plain["seconds"]},
            {route: Tally.of(tally) for route, tally in plain["routes"]},
            Counter(dict(plain["errors"])),
            Counter(dict(plain["versions"])),
            Histogram((bucket, count) for bucket, count in plain["lateness"]),
        )
