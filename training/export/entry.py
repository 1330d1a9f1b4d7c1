"""Make a store entry: the files of a trained model, and the metadata that describes it."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import imaging
from training.config import Config
from training.data.dataset import Dataset, Part
from training.export import golden, onnx_model
from training.export.baseline import baseline

logger = logging.getLogger(__name__)

_MOST_INT8_LOSS = 0.005
"""The int8 form is kept if it loses no more test accuracy than this."""


def write(model: Any, expected: np.ndarray, data: Dataset, config: Config, files: Path) -> dict[str, Any]:
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
    model.save(files / "model.keras")
    onnx_model.to_onnx(model, files / "model.onnx")
    fp32 = onnx_model.OnnxModel(files / "model.onnx").predict(test.batches())
    difference = onnx_model.check_equal(expected, fp32)
    forms, int8 = [fp32], None
    if config.int8:
        some = np.random.default_rng(config.seed).permutation(len(train_part))[: onnx_model.CALIBRATION_IMAGES]
        calibration = train_part.select(some)
        onnx_model.to_int8(files / "model.onnx", files / "model-int8.onnx", calibration.batches())
        quantised = onnx_model.OnnxModel(files / "model-int8.onnx").predict(test.batches())
        int8 = _int8_verdict(_accuracy(test, fp32), _accuracy(test, quantised))
        if int8["kept"]:
            forms.append(quantised)
        else:
            (files / "model-int8.onnx").unlink()
    chosen = golden.choose(test.labels, forms)
    golden.write(files / "golden", test[chosen], test.labels[chosen], fp32[chosen], data.class_names)
    return {
        "tag": None,
        "published": False,
        "refused": None,
        "parameters": int(model.count_params()),
        "files": {file.name: file.stat().st_size for file in sorted(files.glob("model*"))},
        "onnx_max_difference": difference,
        "int8": int8,
    }


def _accuracy(part: Part, probabilities: np.ndarray) -> float:
    return float((probabilities.argmax(axis=1) == part.labels).mean())


def _int8_verdict(fp32: float, int8: float) -> dict[str, Any]:
    lost = f"{100 * (fp32 - int8):.2f} points of test accuracy lost, {100 * _MOST_INT8_LOSS:.1f} allowed"
    # Accuracies are fractions with the same denominator; the margin only absorbs their rounding.
    kept = fp32 - int8 <= _MOST_INT8_LOSS + 1e-9
    logger.info("int8 form %s: %s", "kept" if kept else "dropped", lost)
    return {"kept": kept, "accuracy": int8, "accuracy_fp32": fp32, "reason": lost}


def metadata(config: Config, document: dict[str, Any], test: Part, probabilities: np.ndarray) -> dict[str, Any]:
    """Return the metadata of a store entry.

    Args:
        config: of the run.
        document: the run's report, as in metrics.json.
        test: the test part, for the drift baseline.
        probabilities: (N, C) float, the model's answers to it.
    """
    data, about = document["data"], document["environment"]
    described = {
        "schema": 1,
        "class_names": data["classes"],
        "image_size": config.image_size,
        "image_policy": imaging.POLICY_VERSION,
        "data": {name: data[name] for name in ("name", "images", "splits", "fingerprint")},
        "temperature": document["calibration"]["temperature"],
        "metrics": {k: v for k, v in document["test"].items() if k != "confusion_matrix"},
        "config": asdict(config),
        "git_revision": about["git_revision"],
        "versions": about["versions"] | {"python": about["python"]},
        "int8": document["model"]["int8"] or {},
    }
    kept: dict[str, Any] = _without_none(described)
    return kept | {"baseline": baseline(test, probabilities)}


def _without_none(value: Any) -> Any:
    """Leave out what is undefined (the F1 of a class without test images, say): BentoML stores no None."""
    if isinstance(value, dict):
        return {name: _without_none(entry) for name, entry in value.items() if entry is not None}
    return value
