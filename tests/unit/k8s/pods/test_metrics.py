"""Figures from a pod's Prometheus text."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.errors import K8sError
from k8s.pods.metrics import figures, parse, quantile

TEXT = """# HELP image_classifier_requests_total Requests answered
# TYPE image_classifier_requests_total counter
image_classifier_requests_total{code="200",method="POST",route="/predict"} 90.0
image_classifier_requests_total{code="429",method="POST",route="/predict"} 10.0
image_classifier_requests_total{code="200",method="GET",route="/metrics"} 500.0
image_classifier_shed_total{reason="queue_full"} 10.0
image_classifier_request_duration_seconds_bucket{le="0.1",route="/predict"} 50.0
image_classifier_request_duration_seconds_bucket{le="0.2",route="/predict"} 100.0
image_classifier_request_duration_seconds_bucket{le="+Inf",route="/predict"} 100.0
image_classifier_request_duration_seconds_bucket{le="+Inf",route="/metrics"} 500.0
"""


def test_only_requests_to_predict_are_counted() -> None:
    found = figures(parse(TEXT))
    assert (found.requests, found.shed) == (100, 0.1)
    assert found.p99 == pytest.approx(0.198)


def test_two_scrapes_give_the_figures_of_the_time_between() -> None:
    later = TEXT.replace('/predict"} 90.0', '/predict"} 140.0').replace('/predict"} 100.0', '/predict"} 150.0')
    later = later.replace('le="0.1",route="/predict"} 50.0', 'le="0.1",route="/predict"} 100.0')
    found = figures(parse(later), parse(TEXT))
    assert (found.requests, found.shed) == (50, 0)
    assert found.p99 == pytest.approx(0.099)


def test_without_requests_between_two_scrapes_the_figures_are_since_the_start() -> None:
    assert figures(parse(TEXT), parse(TEXT)).requests == 100
    assert figures(parse("")).p99 is None


def test_label_values_are_unescaped_and_timestamps_are_ignored() -> None:
    text = 'image_classifier_shed_total{reason="a \\"b\\" }, c=\\\\"} 1e1 1700000000000\n'
    (((name, labels), value),) = parse(text).items()
    assert (name, dict(labels), value) == ("image_classifier_shed_total", {"reason": 'a "b" }, c=\\'}, 10)


@pytest.mark.parametrize(
    "text",
    [
        "<!doctype html><title>Not Found</title>",
        '{"error": "not found"}',
        TEXT[:-40],
        "image_classifier_shed_total many",
        "image_classifier_shed_total " + "9" * 400,
        'image_classifier_request_duration_seconds_bucket{route="/predict"} 1',
        'image_classifier_request_duration_seconds_bucket{le="wide",route="/predict"} 1',
        "# TYPE image_classifier_shed_total",
    ],
)
def test_text_in_another_format_or_cut_short_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(K8sError, match=r"^GET /metrics: not Prometheus text: \S"):
        parse(text)


ANY_TEXT = st.text(alphabet='abc_{}="\\,# \t\n019.+-é', max_size=80)


@given(ANY_TEXT | st.integers(0, len(TEXT)).map(lambda end: TEXT[:end]))
def test_any_text_gives_figures_or_a_k8s_error(text: str) -> None:
    with contextlib.suppress(K8sError):
        assert figures(parse(text)).requests >= 0


@pytest.mark.parametrize(
    ("buckets", "expected"),
    [
        ([], None),
        ([(1.0, 0.0), (float("inf"), 0.0)], None),
        ([(1.0, 10.0), (float("inf"), 10.0)], 0.5),
        ([(1.0, 1.0), (float("inf"), 10.0)], 1.0),
    ],
)
def test_a_quantile_is_interpolated(buckets: list[tuple[float, float]], expected: float | None) -> None:
    assert quantile(0.5, buckets) == expected
