"""Test a stored model on a folder it wasn't trained with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from training import environment
from training.config import Config
from training.data.dataset import load_part, locate
from training.errors import DataError, ModelError
from training.export import onnx_model
from training.report import metrics, record


def evaluate(tag: str, runtime: str, config: Config) -> tuple[dict[str, Any], Path | None]:
    """Evaluate the stored model `tag` on the folder `config.data`.

    Args:
        tag: a model-store tag; without a version, the newest.
        runtime: "onnx", "onnx-int8" or "keras".
        config: its data, out, decoders, cache_dir and strict are used.

    Returns:
        The report (sections test, data, model, environment), and the folder it was written to, if
        `config.out` names one.

    Raises:
        ModelError: no such model, or it doesn't have that form.
        DataError: the folder can't be used, or has a class that the model doesn't know.
    """
    import bentoml
    from bentoml.exceptions import BentoMLException

    try:
        stored = bentoml.models.get(tag)
    except (BentoMLException, ValueError) as error:
        raise ModelError(f"no model {tag} in the store; `bentoml models list` shows what there is") from error
    about = stored.info.metadata
    class_names, size = about["class_names"], about["image_size"]
    if not config.data:
        raise DataError("no data: pass --data DIR, a folder with one folder of images a class")
    source = locate(config.data)
    part, rejected = load_part(source, replace(config, image_size=size), class_names)
    if rejected and config.strict:
        raise DataError(f"--strict: {rejected[0].file}: {rejected[0].reason} ({len(rejected)} such files)")
    predict = _predictor(Path(stored.path), runtime, str(stored.tag))
    probabilities = np.concatenate([predict(batch) for batch in part.batches()])
    counts = np.bincount(part.labels, minlength=len(class_names)).tolist()
    document = {
        "test": metrics.evaluate(part.labels, probabilities, class_names),
        "data": {
            "name": source.name,
            "root": config.data,
            "classes": class_names,
            "images": len(part),
            "image_size": size,
            "splits": {"test": dict(zip(class_names, counts, strict=True))},
            "rejected": [{"file": r.file, "code": r.code, "reason": r.reason} for r in rejected],
        },
        "model": {"tag": str(stored.tag), "runtime": runtime},
        "environment": environment.describe(),
    }
    out = Path(config.out) if config.out else None
    if out is not None:
        record.write_evaluation(out, document, part, probabilities)
    return document, out


def _predictor(folder: Path, runtime: str, tag: str) -> Any:
    if runtime == "keras":
        environment.start_keras(0)
        import keras

        model = keras.saving.load_model(folder / "model.keras", compile=False)
        return lambda images: model.predict(images, verbose=0)
    file = folder / ("model.onnx" if runtime == "onnx" else "model-int8.onnx")
    if not file.exists():
        raise ModelError(f"{tag} has no {file.name}; try --runtime onnx")
    return onnx_model.OnnxModel(file)
