"""Compute the 99th percentile and the shed rate from a pod's Prometheus text. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from k8s.errors import K8sError, one_line

_ROUTE = "/predict"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True)
class Figures:
    """Figures of the requests to `/predict`."""

    requests: float
    p99: float | None
    """99th percentile in seconds, interpolated within the histogram's buckets as in PromQL; None without requests."""
    shed: float | None
    """Fraction of the requests that were shed, in 0..1; None without requests."""


def parse(text: str) -> Samples:
    """Read the Prometheus text format.

    Raises:
        K8sError: `text` isn't in that format.
    """
    from prometheus_client.parser import text_string_to_metric_families

    samples: Samples = {}
    try:
        for family in text_string_to_metric_families(text):
            for name, labels, value, *_ in family.samples:
                if name.endswith("_bucket"):
                    float(labels["le"])  # `figures` relies on it
                samples[name, frozenset(labels.items())] = float(value)
    except (ValueError, LookupError, OverflowError) as error:
        raise K8sError(f"GET /metrics: not Prometheus text: {one_line(error)[:200] or type(error).__name__}") from error
    return samples


def figures(now: Samples, before: Samples | None = None) -> Figures:
    """Return the figures between two scrapes, or since the pod started if there were no requests or no first scrape."""
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
    """Return the quantile of cumulative buckets [(upper bound, count), ...], interpolated linearly.

    A quantile in the last bucket, which has no upper bound, is that bucket's lower bound.
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
