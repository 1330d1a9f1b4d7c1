"""The counters of images and answers, and the shares of the training data beside them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bento.telemetry import metrics
from bento.telemetry.classes import labels
from bento.telemetry.drift import Drift
from imaging import statistics
from model_format.metadata import Baseline
from training.export.baseline import baseline

CLASSES = ["cat", "dog", "eel"]


def part(pixels: np.ndarray, sizes: list[int]) -> Any:
    """Return a part of the data as `baseline` needs it."""

    class Stub(SimpleNamespace):
        def __len__(self) -> int:
            return len(pixels)

    return Stub(batches=lambda: iter([pixels]), file_sizes=np.array(sizes))


def observed(model: str, feature: str) -> dict[str, float]:
    samples = [sample for family in metrics.drift_observations.collect() for sample in family.samples]
    own = [s for s in samples if s.name.endswith("_total") and s.labels["model"] == model]
    return {s.labels["bin"]: s.value for s in own if s.labels["feature"] == feature}


@pytest.mark.parametrize("size", [8, 32, 33, 224])
def test_the_brightness_of_a_picture_is_the_mean_of_its_pixels(size: int) -> None:
    rng = np.random.default_rng(0)
    dark = rng.integers(0, 60, (size, size, 3), dtype=np.uint8)
    assert statistics.brightness(dark) == pytest.approx(dark.mean(), abs=3)
    assert statistics.brightness(np.full((size, size, 3), 255, np.uint8)) == 255


def test_a_value_falls_into_the_first_bin_whose_bound_it_does_not_exceed() -> None:
    assert [statistics.bin_of("confidence", value) for value in (0.05, 0.1, 0.11, 1.0, 1.0000001)] == [0, 0, 1, 9, 9]
    assert statistics.bin_of("brightness", 0) == 0
    assert statistics.bin_of("brightness", 255) == 9
    assert statistics.bin_of("bytes", 10**9) == len(statistics.BINS["bytes"]) - 1


def test_training_and_service_count_the_same_images_into_the_same_bins() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (200, 8, 8, 3), dtype=np.uint8) // rng.integers(1, 5, (200, 1, 1, 1), dtype=np.uint8)
    probabilities = rng.dirichlet([0.5, 0.5, 0.5], 200).astype(np.float32)
    sizes = rng.integers(100, 10**6, 200).tolist()
    expected = baseline(part(pixels, sizes), probabilities)
    assert expected.images == 200
    drift = Drift("same:1", CLASSES, expected)
    for number in range(200):
        drift.observe(probabilities[number], pixels[number], sizes[number])
    for feature in ("class", *statistics.BINS):
        shares = [count / 200 for count in observed("same:1", feature).values()]
        assert shares == pytest.approx(expected.shares[feature])
        assert sum(shares) == pytest.approx(1)
        exported = [
            metrics.drift_baseline.labels("same:1", feature, name)._value.get() for name in observed("same:1", feature)
        ]
        assert exported == expected.shares[feature]


def test_empty_bins_are_exported_from_the_start() -> None:
    Drift("fresh:1", CLASSES, None)
    assert observed("fresh:1", "class") == {"cat": 0, "dog": 0, "eel": 0}
    assert set(observed("fresh:1", "bytes")) == set(statistics.bin_names("bytes"))


def test_a_model_without_a_baseline_has_counters_and_no_shares() -> None:
    Drift("old:1", CLASSES, None).observe(np.array([0.1, 0.8, 0.1], np.float32), np.zeros((8, 8, 3), np.uint8), None)
    assert observed("old:1", "class")["dog"] == 1
    assert sum(observed("old:1", "bytes").values()) == 0
    shares = [s for family in metrics.drift_baseline.collect() for s in family.samples if s.labels["model"] == "old:1"]
    assert shares == []


def test_a_baseline_with_other_bins_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    found = Baseline(10, {"class": [0.5, 0.5, 0], "confidence": [1], "brightness": [0.0] * 9 + [1.0]})
    Drift("other:1", CLASSES, found)
    exported = {
        s.labels["feature"]
        for f in metrics.drift_baseline.collect()
        for s in f.samples
        if s.labels["model"] == "other:1"
    }
    assert exported == {"class", "brightness"}
    assert len(caplog.messages) == 2


def test_classes_beyond_the_limit_share_one_series_in_counts_and_baseline() -> None:
    """A model of thousands of classes must not make as many series, in any metric that has the class as a label."""
    found = Baseline(10, {"class": [0.2, 0.5, 0.3]})
    own = labels(CLASSES, found.shares["class"], 1)
    assert own == ["other", "dog", "other"]
    drift = Drift("many:1", own, found)
    for best in range(3):
        drift.observe(np.eye(3, dtype=np.float32)[best], np.zeros((8, 8, 3), np.uint8), None)
    assert observed("many:1", "class") == {"other": 2, "dog": 1}
    shares = {name: metrics.drift_baseline.labels("many:1", "class", name)._value.get() for name in ("other", "dog")}
    assert shares == pytest.approx({"other": 0.5, "dog": 0.5})


@pytest.mark.parametrize(
    ("shares", "most", "expected"),
    [(None, 2, ["cat", "dog", "other"]), ([0, 0, 1], 1, ["other", "other", "eel"]), ([1], 3, CLASSES)],
)
def test_the_most_frequent_classes_keep_a_label(shares: list[float] | None, most: int, expected: list[str]) -> None:
    assert labels(CLASSES, shares, most) == expected


def test_no_metric_has_a_series_of_when_it_was_made() -> None:
    metrics.answered("/livez", "GET", 200).inc()
    assert b"requests_total" in metrics.exposition()
    assert b"_created" not in metrics.exposition()


def test_an_answer_of_nan_is_not_counted() -> None:
    Drift("nan:1", CLASSES, None).observe(np.array([np.nan] * 3, np.float32), np.zeros((8, 8, 3), np.uint8), 10)
    assert sum(observed("nan:1", "class").values()) == 0
