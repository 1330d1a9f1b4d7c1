"""The Prometheus metrics. Labels are route templates and our codes, never a client's input."""

from __future__ import annotations

import os
from functools import cache

# BentoML sets it for several processes on one port. The service is one process, whose registry needs no shared files.
os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

# A time beside each counter and histogram, which nothing of ours asks for, would be a third of all series.
disable_created_metrics()  # type: ignore[no-untyped-call]
registry = CollectorRegistry()
CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()

_PREFIX = "image_classifier_"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Upper bounds that reach the longest deadline, DEADLINE_MS=600000."""
_SHARES = tuple(i / 10 for i in range(1, 11))
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def _counter(name: str, help_: str, *labels: str) -> Counter:
    return Counter(_PREFIX + name, help_, labels, registry=registry)


def _gauge(name: str, help_: str, *labels: str) -> Gauge:
    return Gauge(_PREFIX + name, help_, labels, registry=registry)


def _histogram(name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(_PREFIX + name, help_, labels, buckets=buckets, registry=registry)


requests = _counter("requests_total", "Requests answered", "route", "method", "code")
request_duration = _histogram(
    "request_duration_seconds", "Seconds from the head of the request to the end of the answer", _SECONDS, "route"
)
_stage = _histogram("stage_duration_seconds", "Seconds that an image spends in each stage", _SECONDS, "stage")
batch_size = _histogram("batch_size", "Images per call of the model", _SIZES)
queue_depth = _gauge("queue_depth", "Images admitted and not yet answered")
queue_wait = _histogram("queue_wait_seconds", "Seconds that an image waited for decoding and for the model", _SECONDS)
in_flight = _gauge("in_flight", "Classification requests in progress")
shed = _counter("shed_total", "Requests and images refused or dropped, by reason", "reason")
rejected_images = _counter("rejected_images_total", "Images refused, by problem code", "code")
predictions = _counter("predictions_total", "Answers by class", "predicted_class")
confidence = _histogram("confidence", "Probability of the predicted class", _SHARES)
drift_observations = _counter(
    "drift_observations_total", "Classified images in each bin of a feature", "model", "feature", "bin"
)
drift_baseline = _gauge(
    "drift_baseline", "Share of the training's held-out images in each bin of a feature", "model", "feature", "bin"
)
drift_baseline_images = _gauge("drift_baseline_images", "Number of held-out images behind drift_baseline", "model")
_novelty_checks = _counter(
    "novelty_checks_total", "Images whose novelty was asked for, by whether they are known", "known"
)
cache_lookups = _counter("cache_total", "Images looked up in the answer cache", "result")
start = _gauge("start_seconds", "Seconds that each phase of the start took", "phase")
ready = _gauge("ready", "1 while the service is ready")
model_info = _gauge("model_info", "1 for the served model", "tag", "digest", "runtime", "image_size")

STAGES = ("receive", "decode", "queue", "inference", "respond")
novelty_checks = {known: _novelty_checks.labels(str(known).lower()) for known in (True, False)}
stage = {name: _stage.labels(name) for name in STAGES}


def exposition() -> bytes:
    """Return all metrics in the Prometheus text format."""
    return generate_latest(registry)


@cache
def answered(route: str, method: str, status: int) -> Counter:
    """Return the counter of such requests, cached, because `labels` takes a lock for each lookup."""
    return requests.labels(route, method, str(status))


@cache
def duration(route: str) -> Histogram:
    """Return the histogram of the route's request durations, cached as in `answered`."""
    return request_duration.labels(route)
