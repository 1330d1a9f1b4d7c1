"""Write the record of a run: metrics.json, pictures and report.html in its folder."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np

from training.config import Config
from training.data.dataset import Dataset, Part
from training.input.augment import Augmenter
from training.report import calibration, html, metrics, pictures
from training.report.document import Calibration, Report, TrainingReport

logger = logging.getLogger(__name__)

_SAMPLES = 24


def write(
    out: Path,
    report: TrainingReport,
    data: Dataset,
    config: Config,
    probabilities: np.ndarray,
    more_pictures: dict[str, bytes],
) -> None:
    """Write the record of a training run; `probabilities` (N, C) are those of the test part."""
    shown = _training_pictures(report, data, config) | more_pictures
    shown |= _before_calibration(report.calibration, data.parts["test"].labels, probabilities)
    write_evaluation(out, report, data.parts["test"], probabilities, shown)


def write_evaluation(
    out: Path,
    report: Report,
    part: Part,
    probabilities: np.ndarray,
    more_pictures: dict[str, bytes] | None = None,
) -> None:
    """Write metrics.json, report.html and the pictures of the evaluation on `part`."""
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    (out / "metrics.json").write_text(text, encoding="utf-8")
    shown = pictures.of_evaluation(report.test, part.labels, probabilities, part, report.data.classes)
    html.write(out, report, shown | (more_pictures or {}))


def read(out: Path) -> TrainingReport | None:
    """Return the report that `write` wrote; None if there is no metrics.json, or one of another form."""
    path = out / "metrics.json"
    try:
        return TrainingReport.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValueError as error:
        logger.warning("%s can't be read and is written again: %s", path, str(error).partition("\n")[0])
        return None


def _before_calibration(calibrated: Calibration, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, bytes]:
    if calibrated.reason is not None:
        return {}
    before = calibration.uncalibrated(probabilities, calibrated.temperature)
    bins = metrics.reliability_bins(labels, before)
    return {"reliability_before": pictures.reliability_diagram(bins, calibrated.before.ece)}


def _training_pictures(report: TrainingReport, data: Dataset, config: Config) -> dict[str, bytes]:
    train, names = report.train, data.class_names
    part = data.parts["train"]
    rng = np.random.default_rng(config.seed)
    some = rng.permutation(len(part))[:_SAMPLES]
    samples = Augmenter(config.augmentation, config.image_size)(part[some], rng)
    shown = {
        "class_balance": pictures.class_balance(report.data.splits, names),
        "samples": pictures.sample_images(samples, part.labels[some], names),
    }
    if train.epochs:
        starts = [phase.start for phase in train.phases[1:]]
        shown["learning_curves"] = pictures.learning_curves(train.history, train.best_epoch, starts)
    return shown
