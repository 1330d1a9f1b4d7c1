"""The Prometheus metrics. Labels are route templates and codes of our own, never what a client sends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

# BentoML sets it for several workers a port; we have one, whose registry needs no files in between.
os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

registry = CollectorRegistry()
CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()

_PREFIX = "image_classifier_"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SHARES = tuple(i / 10 for i in range(1, 11))


requests = Counter(_PREFIX + "requests_total", "Requests answered", ["route", "method", "code"], registry=registry)
request_duration = Histogram(
    _PREFIX + "request_duration_seconds",
    "From the request's head to its answer's end",
    ["route"],
    buckets=_SECONDS,
    registry=registry,
)
_stage_duration = Histogram(
    _PREFIX + "stage_duration_seconds", "Time in each stage of /predict", ["stage"], buckets=_SECONDS, registry=registry
)
rejected_images = Counter(
    _PREFIX + "rejected_images_total", "Images refused, by problem code", ["code"], registry=registry
)
predictions = Counter(_PREFIX + "predictions_total", "Answers by class", ["predicted_class"], registry=registry)
confidence = Histogram(_PREFIX + "confidence", "Probability of the predicted class", buckets=_SHARES, registry=registry)
in_flight = Gauge(_PREFIX + "in_flight", "Requests to /predict being worked on", registry=registry)
ready = Gauge(_PREFIX + "ready", "1 while the model is loaded and warm", registry=registry)
model_info = Gauge(
    _PREFIX + "model_info", "1 for the served model", ["tag", "digest", "runtime", "image_size"], registry=registry
)

_STAGES = {name: _stage_duration.labels(name) for name in ("receive", "decode", "inference")}


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Measure a stage of a request that succeeds in it."""
    started = time.perf_counter()
    yield
    _STAGES[name].observe(time.perf_counter() - started)


def exposition() -> bytes:
    """Return all metrics in the Prometheus text format."""
    return generate_latest(registry)
