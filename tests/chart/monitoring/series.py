"""Check that queries use only series that the service exposes."""

from __future__ import annotations

import re

from prometheus_client import Counter, Gauge, Histogram

from bento.telemetry import metrics


def known_series() -> set[str]:
    """Return the names of all series that the service exposes."""
    names: set[str] = set()
    for metric in vars(metrics).values():
        if isinstance(metric, Counter):
            names.add(metric._name + "_total")
        elif isinstance(metric, Histogram):
            names |= {metric._name + suffix for suffix in ("_bucket", "_sum", "_count")}
        elif isinstance(metric, Gauge):
            names.add(metric._name)
    return names


def unknown_series(queries: list[str]) -> set[str]:
    """Return the series of the service in `queries` that it does not expose."""
    named = set(re.findall(r"\bimage_classifier_[a-z0-9_]+", " ".join(queries)))
    assert named
    return named - known_series()
