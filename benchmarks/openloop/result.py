"""Summarise a run of the load generator from the reports of its processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from benchmarks.openloop.worker import OK, TIMEOUT, Outcome, Report

LAG = 0.02
"""Largest 99th percentile of the send lag, in seconds, of a run that kept up."""


@dataclass(frozen=True)
class Latency:
    """Seconds from the intended send time to the end of the answer; zeros if there was no answer."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True)
class Slot:
    """100 ms of a run: the requests due in it, and the answers that came in it."""

    start: float
    intended: int
    accepted: int
    rejected: int
    failed: int


@dataclass(frozen=True)
class Result:
    """The result of one run. If `kept_up` is false, the figures describe the generator rather than the server."""

    seconds: float
    intended: int
    sent: int
    lag_p99: float
    """99th percentile of the seconds between the intended and the actual send time."""
    kept_up: bool
    outcomes: dict[Outcome, int]
    accepted: Latency
    rejected: Latency
    goodput: float
    """Right answers per second that came while requests were being sent."""
    without_retry_after: int
    """Number of 429s and 503s without Retry-After."""
    connections: int
    """Number of connections opened."""
    timeline: list[Slot]

    @property
    def failed(self) -> dict[Outcome, int]:
        """Outcomes other than a right answer or a reject (429, 503)."""
        return {outcome: n for outcome, n in self.outcomes.items() if outcome != OK and not _is_reject(outcome)}


def summarise(reports: list[Report], seconds: float) -> Result:
    """Combine the reports of all processes of one run of `seconds`."""
    intended = np.concatenate([report.intended for report in reports])
    sent = np.concatenate([report.sent for report in reports])
    done = np.concatenate([report.done for report in reports])
    outcomes = [outcome for report in reports for outcome in report.outcomes]
    ok = np.array([outcome == OK for outcome in outcomes], bool)
    rejected = np.array([_is_reject(outcome) for outcome in outcomes], bool)
    failed = np.array([outcome != TIMEOUT for outcome in outcomes], bool) & ~ok & ~rejected
    left = sent >= 0
    lag = float(np.percentile((sent - intended)[left], 99)) if left.any() else 0.0
    return Result(
        seconds=seconds,
        intended=len(intended),
        sent=int(left.sum()),
        lag_p99=lag,
        kept_up=bool(left.sum() >= 0.99 * len(intended) and lag <= LAG),
        outcomes=dict(Counter(outcomes).most_common()),
        accepted=_latency((done - intended)[ok]),
        rejected=_latency((done - intended)[rejected]),
        goodput=float((ok & (done <= seconds)).sum() / seconds),
        without_retry_after=sum(report.without_retry_after for report in reports),
        connections=sum(report.connections for report in reports),
        timeline=_timeline(intended, done[ok], done[rejected], done[failed]),
    )


def _is_reject(outcome: Outcome) -> bool:
    return outcome[0] in (429, 503)


def _latency(values: np.ndarray) -> Latency:
    if not len(values):
        return Latency(0, 0, 0, 0, 0)
    p50, p95, p99 = np.percentile(values, [50, 95, 99]).tolist()
    return Latency(len(values), p50, p95, p99, float(values.max()))


def _timeline(*columns: np.ndarray) -> list[Slot]:
    end = max(times.max(initial=0) for times in columns)
    edges = np.arange(int(end * 10) + 2) / 10
    counts = [np.histogram(times, edges)[0].tolist() for times in columns]
    return [Slot(float(start), *row) for start, *row in zip(edges[:-1], *counts, strict=True)]
