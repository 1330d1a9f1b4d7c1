"""Figures from a pod's Prometheus text: the 99th percentile and the share of work that was shed. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SAMPLE = re.compile(r"(?P<name>[a-z_]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ROUTE = "/predict"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True)
class Figures:
    """Of the requests to `/predict`; None where there were none."""

    requests: float
    p99: float | None
    """Seconds; an upper bound from the histogram's buckets, interpolated as PromQL does."""
    shed: float | None
    """Share of the work, in 0..1."""


def parse(text: str) -> Samples:
    """Read the exposition format; comments are passed over."""
    samples: Samples = {}
    for line in text.splitlines():
        found = _SAMPLE.fullmatch(line.strip())
        if found and not line.startswith("#"):
            labels = frozenset(_LABEL.findall(found["labels"] or ""))
            samples[(found["name"], labels)] = float(found["value"])
    return samples


def figures(now: Samples, before: Samples | None = None) -> Figures:
    """Return what happened between two scrapes, or since the pod started where nothing did or there is one."""
    since = {key: value - (before or {}).get(key, 0.0) for key, value in now.items()}
    found = _figures(since)
    return found if before is None or found.requests else _figures(now)


def _figures(samples: Samples) -> Figures:
    buckets, requests, shed = list[tuple[float, float]](), 0.0, 0.0
    for (name, labels), value in samples.items():
        label = dict(labels)
        if name == "image_classifier_request_duration_seconds_bucket" and label.get("route") == _ROUTE:
            buckets.append((float(label["le"]), value))
        elif name == "image_classifier_requests_total" and label.get("route") == _ROUTE:
            requests += value
        elif name == "image_classifier_shed_total":
            shed += value
    share = shed / requests if requests else None
    return Figures(requests, quantile(0.99, sorted(buckets)), share)


def quantile(share: float, buckets: list[tuple[float, float]]) -> float | None:
    """Return the quantile of cumulative buckets [(upper bound, count), ...], linear within one.

    One in the last, endless bucket is the bound before it.
    """
    total = buckets[-1][1] if buckets else 0
    if not total:
        return None
    rank, lower, below = share * total, 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            return (
                lower if bound == float("inf") else lower + (bound - lower) * (rank - below) / max(count - below, 1e-9)
            )
        lower, below = bound, count
    return lower
