"""Record a run: counts by due second, by route and by kind of error. The records of several processes add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from loadtests.histogram import Histogram

_KINDS = 100
"""Most kinds of error counted separately, because a service may word each error differently."""


@dataclass
class Tally:
    """Counts of some requests, and the response times of good answers, in milliseconds from when they were due."""

    sent: int = 0
    good: int = 0
    failed: int = 0
    latency: Histogram = field(default_factory=Histogram)

    def merge(self, other: Tally) -> None:
        """Add the counts of another tally."""
        self.sent += other.sent
        self.good += other.good
        self.failed += other.failed
        self.latency.merge(other.latency)

    def plain(self) -> list[Any]:
        """Return lists and numbers only, from which another process makes an equal `Tally`."""
        return [self.sent, self.good, self.failed, self.latency.pairs()]

    @classmethod
    def of(cls, plain: list[Any]) -> Tally:
        """Make one from what `plain` returned."""
        sent, good, failed, pairs = plain
        return cls(sent, good, failed, Histogram((bucket, count) for bucket, count in pairs))


@dataclass
class Record:
    """The counts of a run, or of a worker's part of it.

    Attributes:
        seconds: counts by the second in which the requests were due.
        routes: counts by route.
        errors: number of errors of each kind.
        versions: number of answers of each model.
        lateness: milliseconds between when a request was due and when it was sent.
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
            route: its path.
            late: seconds since it was due.
        """
        self.lateness.add(1000 * late)
        for tally in self._tallies(due, route):
            tally.sent += 1

    def answer(self, due: float, route: str, milliseconds: float, error: str | None, version: str = "") -> None:
        """Count an answer that came `milliseconds` after its request was due, or an error."""
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
        """Count a request that couldn't be built, as sent and failed."""
        self.send(due, route, 0)
        self.answer(due, route, 0, error)

    def _tallies(self, due: float, route: str) -> tuple[Tally, Tally]:
        return self.seconds.setdefault(int(due), Tally()), self.routes.setdefault(route, Tally())

    def between(self, begin: float, end: float) -> Tally:
        """Return the counts of all requests due from second `begin` up to, not including, second `end`."""
        total = Tally()
        for second, tally in self.seconds.items():
            if begin <= second < end:
                total.merge(tally)
        return total

    def merge(self, other: Record) -> None:
        """Add the counts of another record."""
        for second, tally in other.seconds.items():
            self.seconds.setdefault(second, Tally()).merge(tally)
        for route, tally in other.routes.items():
            self.routes.setdefault(route, Tally()).merge(tally)
        self.errors.update(other.errors)
        self.versions.update(other.versions)
        self.lateness.merge(other.lateness)

    def plain(self) -> dict[str, Any]:
        """Return lists and numbers only, from which another process makes an equal `Record`."""
        return {
            "seconds": [[second, tally.plain()] for second, tally in self.seconds.items()],
            "routes": [[route, tally.plain()] for route, tally in self.routes.items()],
            "errors": list(self.errors.items()),
            "versions": list(self.versions.items()),
            "lateness": self.lateness.pairs(),
        }

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Record:
        """Make one from what `plain` returned."""
        return cls(
            {second: Tally.of(tally) for second, tally in plain["seconds"]},
            {route: Tally.of(tally) for route, tally in plain["routes"]},
            Counter(dict(plain["errors"])),
            Counter(dict(plain["versions"])),
            Histogram((bucket, count) for bucket, count in plain["lateness"]),
        )
