"""Test a stored model on a folder that it wasn't trained on, and recalibrate it there."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import imaging
from model_format import card as model_card
from model_format.layout import FILES, Form, forms
from model_format.metadata import Metadata
from training import environment
from training.config import Config
from training.data.dataset import load_part
from training.data.labelled import Labelled
from training.data.locations import data_name, data_root, keep_outside, sources
from training.data.names import as_text
from training.data.source import Tree
from training.errors import ModelError, one_line
from training.export import publish
from training.export import recalibrate as recalibration
from training.fields import DATASETS
from training.forms import onnx_model
from training.report import card, metrics, record
from training.report.check_document import RejectedFile
from training.report.document import Environment, EvaluatedData, EvaluatedModel, EvaluationReport
from training.store import open_model

logger = logging.getLogger(__name__)


def evaluate(tag: str, runtime: Form, config: Config) -> tuple[EvaluationReport, Path | None]:
    """Evaluate the stored model `tag` on the folder `config.data`.

    Args:
        tag: a model-store tag; without a version, the newest.
        runtime: "onnx", "onnx-int8" or "keras".
        config: its data, images_root, layout, out, decoders, cache_dir and strict are used.

    Returns:
        The report, and the folder that it was written to, if `config.out` names one.

    Raises:
        ModelError: there is no such model, it lacks that form, or it can't be used.
        UsageError: `config.out` is inside the folder.
        DataError: the folder can't be used, or has a class that the model doesn't know.
    """
    stored, about = _open(tag)
    out = Path(config.out) if config.out else None
    if out is not None:
        keep_outside(out, config)
    class_names, size = about.class_names, about.image_size
    part, rejected = load_part(_test_source(config), replace(config, image_size=size, resize=about.resize), class_names)
    predict = _predictor(Path(stored.path), runtime, str(stored.tag))
    probabilities = np.concatenate([predict(batch) for batch in part.batches()])
    counts = np.bincount(part.labels, minlength=len(class_names)).tolist()
    report = EvaluationReport(
        test=metrics.evaluate(part.labels, probabilities, class_names),
        data=EvaluatedData(
            name=data_name(config),
            root=data_root(config),
            classes=class_names,
            images=len(part),
            image_size=size,
            resize=about.resize,
            splits={"test": dict(zip(class_names, counts, strict=True))},
            rejected=[RejectedFile(as_text(r.file), r.code, r.reason) for r in rejected],
        ),
        model=EvaluatedModel(str(stored.tag), runtime),
        environment=Environment(**environment.describe()),
    )
    if out is not None:
        record.write_evaluation(out, report, part, probabilities)
    return report, out


def recalibrate(tag: str, config: Config) -> str:
    """Store a copy of the model `tag` that is calibrated on the folder `config.data`; return the copy's tag.

    The stored model is left unchanged. Raises the same errors as `evaluate`, and StoreError.
    """
    stored, about = _open(tag)
    labels, name = dict(stored.info.labels), str(stored.tag.name)
    part, _ = load_part(
        _test_source(config), replace(config, image_size=about.image_size, resize=about.resize), about.class_names
    )
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "entry")
        described = recalibration.recalibrate(
            Path(stored.path), about, str(stored.tag), part, data_name(config), files, _load_keras
        )
        copy = publish.new_tag(name)
        model_card.write(files, card.of_recalibrated(files, described, copy))
        return publish.publish(copy, files, labels, described.to_metadata())


def _open(tag: str) -> tuple[Any, Metadata]:
    """Return BentoML's entry of a model, and its metadata.

    Raises:
        ModelError: there is no such model, or its images were decoded by other rules.
    """
    stored, about = open_model(tag)
    if about.image_policy not in (None, imaging.POLICY_VERSION):
        raise ModelError(
            f"{stored.tag} was trained on images decoded by policy {about.image_policy}, this code decodes by "
            f"{imaging.POLICY_VERSION}; train the model again"
        )
    return stored, about


def _load_keras(file: Path) -> Any:
    environment.start_keras(0)
    import keras

    return keras.saving.load_model(file, compile=False)


def _test_source(config: Config) -> Tree | Labelled:
    """Return the test part of a data set that is divided already, or all of another."""
    found = sources(config)
    if config.data in DATASETS and "test" not in found:
        logger.warning("%s has no test images of its own; a model may have been trained on these", config.data)
    return found.get("test", found["train"])


def _predictor(folder: Path, runtime: Form, tag: str) -> Any:
    there = forms(folder)
    if runtime not in there:
        raise ModelError(f"{tag} has no {FILES[runtime]}; pass --runtime {' or '.join(there)}")
    file = folder / FILES[runtime]
    try:
        if runtime != "keras":
            return onnx_model.OnnxModel(file)
        model = _load_keras(file)
    except Exception as error:  # a damaged file makes Keras and ONNX Runtime raise anything
        raise ModelError(f"{tag}: {file.name} can't be read: {one_line(error)}") from error
    return lambda images: model.predict(images, verbose=0)
