"""Make a store entry: the files of a trained model and its metadata."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import imaging
from model_format.golden import folder_of
from model_format.layout import FILES, forms
from model_format.metadata import Int8Verdict, Metadata, TrainingData
from training.config import Config
from training.data.dataset import Dataset, Part
from training.export import golden
from training.export.baseline import baseline
from training.forms import onnx_model
from training.report.document import Int8, Model, TrainingReport

logger = logging.getLogger(__name__)

_MOST_INT8_LOSS = 0.005
"""The int8 form is kept if it loses no more test accuracy than this."""


def write(model: Any, expected: np.ndarray, data: Dataset, config: Config, files: Path) -> Model:
    """Write the files of a store entry into the new folder `files`; return the report's model section.

    Args:
        model: a built `keras.Model`, as it will be served.
        expected: (N, C) float, its answers to the test part.
        data: the test part measures each form; the training part calibrates the int8 form.
        config: `int8` and `seed` are read.
        files: replaced if it exists.

    Raises:
        ModelError: the ONNX form answers differently from `model`.
    """
    test, train_part = data.parts["test"], data.parts["train"]
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    fp32_file, int8_file = files / FILES["onnx"], files / FILES["onnx-int8"]
    model.save(files / FILES["keras"])
    onnx_model.to_onnx(model, fp32_file)
    fp32 = onnx_model.OnnxModel(fp32_file).predict(test.batches())
    difference = onnx_model.check_equal(expected, fp32)
    answers, int8 = [fp32], None
    if config.int8:
        some = np.random.default_rng(config.seed).permutation(len(train_part))[: onnx_model.CALIBRATION_IMAGES]
        calibration = train_part.select(some)
        onnx_model.to_int8(fp32_file, int8_file, calibration.batches())
        quantised = onnx_model.OnnxModel(int8_file).predict(test.batches())
        int8 = _int8_verdict(_accuracy(test, fp32), _accuracy(test, quantised))
        if int8.kept:
            answers.append(quantised)
        else:
            int8_file.unlink()
    chosen = golden.choose(test.labels, answers)
    golden.write(folder_of(files), test[chosen], test.labels[chosen], fp32[chosen], data.class_names)
    return Model(
        tag=None,
        published=False,
        refused=None,
        parameters=int(model.count_params()),
        files={file: (files / file).stat().st_size for file in sorted(FILES[form] for form in forms(files))},
        onnx_max_difference=difference,
        int8=int8,
    )


def _accuracy(part: Part, probabilities: np.ndarray) -> float:
    return float((probabilities.argmax(axis=1) == part.labels).mean())


def _int8_verdict(fp32: float, int8: float) -> Int8:
    lost = f"{100 * (fp32 - int8):.2f} points of test accuracy lost, {100 * _MOST_INT8_LOSS:.1f} allowed"
    # Accuracies are fractions with the same denominator; the margin only absorbs their rounding.
    kept = fp32 - int8 <= _MOST_INT8_LOSS + 1e-9
    logger.info("int8 form %s: %s", "kept" if kept else "dropped", lost)
    return Int8(kept=kept, accuracy=int8, accuracy_fp32=fp32, reason=lost)


def metadata(config: Config, report: TrainingReport, test: Part, probabilities: np.ndarray) -> dict[str, Any]:
    """Return the metadata of a store entry.

    Args:
        config: of the run.
        report: the report of the run.
        test: the test part, for the drift baseline.
        probabilities: (N, C) float, the model's answers to it.
    """
    data, about, int8 = report.data, report.environment, report.model.int8
    described = Metadata(
        class_names=data.classes,
        image_size=config.image_size,
        resize=config.squaring,
        image_policy=imaging.POLICY_VERSION,
        data=TrainingData(name=data.name, images=data.images, splits=data.splits, fingerprint=data.fingerprint),
        temperature=report.calibration.temperature,
        metrics={k: v for k, v in report.test.to_json().items() if k != "confusion_matrix"},
        config=asdict(config),
        git_revision=about.git_revision,
        versions=about.versions | {"python": about.python},
        int8=_verdict(int8) if int8 else None,
        baseline=baseline(test, probabilities),
    )
    return described.to_metadata()


def _verdict(int8: Int8) -> Int8Verdict:
    return {"kept": int8.kept, "accuracy": int8.accuracy, "accuracy_fp32": int8.accuracy_fp32, "reason": int8.reason}
