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
from training.report.document import Report, TrainingReport
from training.report.figures import Calibration

logger = logging.getLogger(__name__)

_SAMPLES = 24
_METRICS, _ASIDE = "metrics.json", ".new"


def draw(report: TrainingReport, data: Dataset, config: Config, probabilities: np.ndarray) -> dict[str, bytes]:
    """Return the pictures of a training run, as PNG by name; `probabilities` (N, C) are those of the test part."""
    test = data.parts["test"]
    shown = pictures.of_evaluation(report.test, test.labels, probabilities, test, data.class_names)
    shown |= _training_pictures(report, data, config)
    return shown | _before_calibration(report.calibration, test.labels, probabilities)


def write(out: Path, report: Report, shown: dict[str, bytes]) -> None:
    """Write metrics.json, report.html and the pictures."""
    out.mkdir(parents=True, exist_ok=True)
    for name, content in (_documents(report, shown) | {f"{name}.png": png for name, png in shown.items()}).items():
        (out / name).write_bytes(content)


def write_evaluation(out: Path, report: Report, part: Part, probabilities: np.ndarray) -> None:
    """Write metrics.json, report.html and the pictures of the evaluation on `part`."""
    write(out, report, pictures.of_evaluation(report.test, part.labels, probabilities, part, report.data.classes))


def prepare(out: Path, report: Report, shown: dict[str, bytes]) -> None:
    """Write metrics.json and report.html aside, so that `settle` needs no space to put them in place."""
    for name, content in _documents(report, shown).items():
        (out / f"{name}{_ASIDE}").write_bytes(content)


def settle(out: Path) -> None:
    """Put the prepared metrics.json and report.html in place."""
    for name in ("report.html", _METRICS):  # the one that `read` looks at comes last
        (out / f"{name}{_ASIDE}").replace(out / name)


def _documents(report: Report, shown: dict[str, bytes]) -> dict[str, bytes]:
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    # A file name may be no UTF-8; its invalid bytes become \udcff and the like, which JSON takes as well.
    documents = {"report.html": html.render(report, shown), _METRICS: text}
    return {name: document.encode("utf-8", "backslashreplace") for name, document in documents.items()}


def read(out: Path, *, prepared: bool = False) -> TrainingReport | None:
    """Return the report that `write` or `prepare` wrote; None if there is no metrics.json, or one of another form."""
    path = out / f"{_METRICS}{_ASIDE if prepared else ''}"
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
