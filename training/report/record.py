"""Write down what a run found: metrics.json, pictures and report.html in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from training.config import Config
from training.data.dataset import Dataset, Part
from training.input.augment import Augmenter
from training.report import calibration, html, metrics, pictures

_SAMPLES = 24


def write(
    out: Path,
    document: dict[str, Any],
    data: Dataset,
    config: Config,
    probabilities: np.ndarray,
    more_pictures: dict[str, bytes],
) -> None:
    """Write the record of a training run; `probabilities` (N, C) are those of the test part."""
    shown = _training_pictures(document, data, config) | more_pictures
    shown |= _before_calibration(document["calibration"], data.parts["test"].labels, probabilities)
    write_evaluation(out, document, data.parts["test"], probabilities, shown)


def write_evaluation(
    out: Path,
    document: dict[str, Any],
    part: Part,
    probabilities: np.ndarray,
    more_pictures: dict[str, bytes] | None = None,
) -> None:
    """Write metrics.json, report.html and the pictures of the evaluation on `part`."""
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    (out / "metrics.json").write_text(text, encoding="utf-8")
    shown = pictures.of_evaluation(document["test"], part.labels, probabilities, part, document["data"]["classes"])
    html.write(out, document, shown | (more_pictures or {}))


def read(out: Path) -> dict[str, Any] | None:
    """Return what `write` wrote as metrics.json, or None where there is none."""
    try:
        document: dict[str, Any] = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return document


def _before_calibration(calibrated: dict[str, Any], labels: np.ndarray, probabilities: np.ndarray) -> dict[str, bytes]:
    if calibrated["reason"] is not None:
        return {}
    before = calibration.uncalibrated(probabilities, calibrated["temperature"])
    bins = metrics.reliability_bins(labels, before)
    return {"reliability_before": pictures.reliability_diagram(bins, calibrated["before"]["ece"])}


def _training_pictures(document: dict[str, Any], data: Dataset, config: Config) -> dict[str, bytes]:
    train, names = document["train"], data.class_names
    part = data.parts["train"]
    rng = np.random.default_rng(config.seed)
    some = rng.permutation(len(part))[:_SAMPLES]
    samples = Augmenter(config.augmentation, config.image_size)(part[some], rng)
    shown = {
        "class_balance": pictures.class_balance(data.summary["splits"], names),
        "samples": pictures.sample_images(samples, part.labels[some], names),
    }
    if train["epochs"]:
        shown["learning_curves"] = pictures.learning_curves(
            train["history"], train["best_epoch"], [phase["start"] for phase in train["phases"][1:]]
        )
    return shown
