"""Test a stored model on a folder that it wasn't trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from model_format.errors import FormatError
from model_format.layout import FILES
from model_format.metadata import Metadata
from training import environment
from training.config import Config
from training.data.dataset import load_part, locate
from training.data.folder import as_text
from training.errors import DataError, ModelError
from training.export import onnx_model
from training.report import metrics, record
from training.report.check_document import RejectedFile
from training.report.document import Environment, EvaluatedData, EvaluatedModel, EvaluationReport


def evaluate(tag: str, runtime: str, config: Config) -> tuple[EvaluationReport, Path | None]:
    """Evaluate the stored model `tag` on the folder `config.data`.

    Args:
        tag: a model-store tag; without a version, the newest.
        runtime: "onnx", "onnx-int8" or "keras".
        config: its data, out, decoders, cache_dir and strict are used.

    Returns:
        The report, and the folder that it was written to, if `config.out` names one.

    Raises:
        ModelError: there is no such model, or it doesn't have that form.
        DataError: the folder can't be used, or has a class that the model doesn't know.
    """
    import bentoml
    from bentoml.exceptions import BentoMLException

    try:
        stored = bentoml.models.get(tag)
    except (BentoMLException, ValueError) as error:
        raise ModelError(f"no model {tag} in the store; `bentoml models list` shows what there is") from error
    try:
        about = Metadata.from_metadata(stored.info.metadata, str(stored.tag))
    except FormatError as error:
        raise ModelError(str(error)) from error
    class_names, size = about.class_names, about.image_size
    if not config.data:
        raise DataError("no data: pass --data DIR, a folder with one folder of images per class")
    source = locate(config.data)
    part, rejected = load_part(source, replace(config, image_size=size), class_names)
    if rejected and config.strict:
        raise DataError(f"--strict: {rejected[0].file}: {rejected[0].reason} ({len(rejected)} such files)")
    predict = _predictor(Path(stored.path), runtime, str(stored.tag))
    probabilities = np.concatenate([predict(batch) for batch in part.batches()])
    counts = np.bincount(part.labels, minlength=len(class_names)).tolist()
    report = EvaluationReport(
        test=metrics.evaluate(part.labels, probabilities, class_names),
        data=EvaluatedData(
            name=source.name,
            root=config.data,
            classes=class_names,
            images=len(part),
            image_size=size,
            splits={"test": dict(zip(class_names, counts, strict=True))},
            rejected=[RejectedFile(as_text(r.file), r.code, r.reason) for r in rejected],
        ),
        model=EvaluatedModel(str(stored.tag), runtime),
        environment=Environment(**environment.describe()),
    )
    out = Path(config.out) if config.out else None
    if out is not None:
        record.write_evaluation(out, report, part, probabilities)
    return report, out


def _predictor(folder: Path, runtime: str, tag: str) -> Any:
    if runtime == "keras":
        environment.start_keras(0)
        import keras

        model = keras.saving.load_model(folder / FILES["keras"], compile=False)
        return lambda images: model.predict(images, verbose=0)
    file = folder / FILES["onnx" if runtime == "onnx" else "onnx-int8"]
    if not file.exists():
        raise ModelError(f"{tag} has no {file.name}; try --runtime onnx")
    return onnx_model.OnnxModel(file)
