"""Recalibrate a stored model on other images, without training: its temperature, its limits, its drift baseline."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import imaging
from model_format import golden, limits
from model_format.layout import FILES, SCORES, Form, forms
from model_format.limits import LEAST_IMAGES, Limits
from model_format.metadata import Metadata
from training.data.dataset import Part
from training.errors import ModelError
from training.export import calibration
from training.export import limits as measured
from training.export.baseline import baseline
from training.forms import onnx_model

logger = logging.getLogger(__name__)


def recalibrate(
    entry: Path, about: Metadata, tag: str, part: Part, name: str, files: Path, load: Callable[[Path], Any]
) -> Metadata:
    """Write the files of a store entry like `entry`, calibrated on `part`, into the new folder `files`.

    Classes and accuracy stay as they are: one number divides all scores.

    Args:
        entry: the folder of the stored model, which is left unchanged.
        about: its metadata.
        tag: its tag.
        part: images that it wasn't trained on.
        name: of the data that `part` is of.
        files: created.
        load: opens a Keras file.

    Returns:
        The metadata of the new entry.

    Raises:
        ModelError: there are too few images, or the network doesn't end in a dense layer with softmax.
    """
    if len(part) < LEAST_IMAGES:
        raise ModelError(f"{len(part)} images are too few to recalibrate {tag}; at least {LEAST_IMAGES} are needed")
    shutil.copytree(entry, files, ignore=lambda _, names: {"model.yaml"} & {*names})
    there: list[Form] = [form for form in forms(files) if form != "keras"]
    for form in there:
        _rewrite(files / FILES[form], 1.0)
    scores = onnx_model.OnnxModel(files / FILES["onnx"]).answers(part.batches())[1]
    temperature, reason = calibration.fit_temperature(scores, part.labels)
    logger.info("temperature unchanged: %s" if reason else "scores are divided by %.3f", reason or temperature)
    if temperature != 1:
        for form in there:
            _rewrite(files / FILES[form], temperature)
        _rewrite_keras(files / FILES["keras"], temperature, load)
    fp32 = onnx_model.OnnxModel(files / FILES["onnx"])
    _rewrite_golden(golden.folder_of(files), about, fp32)
    of_forms: dict[Form, Limits] = {
        form: measured.of_model(onnx_model.OnnxModel(files / FILES[form]), part) for form in there
    }
    limits.write(files, of_forms)
    return replace(
        about,
        temperature=(about.temperature or 1.0) * temperature,
        # Those that depend on the temperature were measured with the former one.
        metrics={figure: value for figure, value in about.metrics.items() if figure not in ("ece", "log_loss")},
        baseline=baseline(part, fp32.predict(part.batches())),
        recalibration={"parent": tag, "data": name, "images": len(part), "fingerprint": _fingerprint(part)},
    )


def _rewrite(file: Path, temperature: float) -> None:
    """Divide the kernel and the bias of the last dense layer, whose result is `SCORES`, by the temperature."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(file)
    onnx_model.expose_scores(graph)
    made_by = {output: node for node in graph.graph.node for output in node.output}
    weights = {tensor.name: tensor for tensor in graph.graph.initializer}
    last = made_by[SCORES]
    dense = [last, *(made_by[name] for name in last.input if name in made_by and last.op_type == "Add")]
    head = [weights[name] for node in dense for name in node.input if name in weights]
    if dense[-1].op_type not in ("Gemm", "MatMul") or not head:
        raise ModelError(f"{file.name} doesn't end in a dense layer, so it can't be recalibrated")
    if temperature != 1:
        for tensor in head:
            divided = numpy_helper.to_array(tensor) / np.float32(temperature)
            tensor.CopyFrom(numpy_helper.from_array(divided, tensor.name))
    onnx.save(graph, file)


def _rewrite_keras(file: Path, temperature: float, load: Callable[[Path], Any]) -> None:
    model = load(file)
    for weight in model.layers[-1].weights:
        weight.assign(weight / temperature)
    model.save(file)


def _rewrite_golden(folder: Path, about: Metadata, model: onnx_model.OnnxModel) -> None:
    """Give the golden images the confidence that they have now; their classes are the same."""
    images = golden.read(folder)
    if not images:
        return
    rows = model(np.stack([imaging.decode(image.image, about.image_size, resize=about.resize) for image in images]))
    labels = [about.class_names.index(image.class_name) for image in images]
    confidences = [float(row[label]) for row, label in zip(rows, labels, strict=True)]
    golden.write(folder, [replace(i, confidence=c) for i, c in zip(images, confidences, strict=True)])


def _fingerprint(part: Part) -> str:
    return hashlib.sha256(part.images.digests[part.rows].tobytes() + part.labels.astype("<i8").tobytes()).hexdigest()
