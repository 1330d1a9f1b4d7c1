"""What is running: the answers of `GET /version`, `GET /v2` and `GET /v2/models/{name}`."""

from __future__ import annotations

import platform
from importlib.metadata import version

import imaging
from bento.http.open_inference import NOVELTY
from bento.http.schemas import ModelMetadata, ServerMetadata, Version
from bento.models.model import ServedModel
from bento.version import VERSION
from model_format.layout import INPUT, OUTPUT


def describe(served: ServedModel, digest: str) -> Version:
    """Return the model and the versions of what its answers depend on; `digest` is that of the model's file."""
    libraries = {name: version(name) for name in ("bentoml", "numpy", "onnxruntime", "pillow")}
    return {
        "model": served.tag,
        "digest": digest,
        "runtime": served.runtime,
        "image_size": served.image_size,
        "class_names": served.class_names,
        "limits": served.limits is not None,
        "image_policy": imaging.POLICY_VERSION,
        "versions": {"image-classifier": VERSION, "python": platform.python_version()} | libraries,
    }


def server_metadata() -> ServerMetadata:
    """Return the server's metadata by the Open Inference Protocol."""
    return {"name": "image-classifier", "version": VERSION, "extensions": ["binary_tensor_data"]}


def outputs(served: ServedModel) -> tuple[str, ...]:
    """Return the names of the tensors that the model answers."""
    return (OUTPUT,) if served.limits is None else (OUTPUT, NOVELTY)


def model_metadata(served: ServedModel) -> ModelMetadata:
    """Return the model's metadata by the Open Inference Protocol."""
    name, _, version_ = served.tag.partition(":")
    side = served.image_size
    shapes: dict[str, tuple[int, int] | tuple[int]] = {OUTPUT: (-1, len(served.class_names)), NOVELTY: (-1,)}
    return {
        "name": name,
        "versions": [version_],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": (-1, side, side, 3)}],
        "outputs": [{"name": name, "datatype": "FP32", "shape": shapes[name]} for name in outputs(served)],
    }
