"""What is running: the answers of `GET /version`, `GET /v2` and `GET /v2/models/{name}`."""

from __future__ import annotations

import platform
from importlib.metadata import version

import imaging
from bento.http.bodies.open_inference import NOVELTY
from bento.http.schemas import ModelMetadata, OutputMetadata, ServerMetadata, Version
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
        "resize": served.resize,
        "class_names": served.class_names,
        "limits": served.limits is not None,
        "image_policy": imaging.POLICY_VERSION,
        "versions": {"image-classifier": VERSION, "python": platform.python_version()} | libraries,
    }


def server_metadata() -> ServerMetadata:
    """Return the server's metadata by the Open Inference Protocol."""
    return {"name": "image-classifier", "version": VERSION, "extensions": ["binary_tensor_data"]}


def outputs(served: ServedModel) -> list[OutputMetadata]:
    """Return the tensors that the model answers; the novelty only those get who name it."""
    tensors: list[OutputMetadata] = [{"name": OUTPUT, "datatype": "FP32", "shape": (-1, len(served.class_names))}]
    if served.limits is not None:
        tensors.append({"name": NOVELTY, "datatype": "FP32", "shape": (-1,)})
    return tensors


def model_metadata(served: ServedModel) -> ModelMetadata:
    """Return the model's metadata by the Open Inference Protocol."""
    name, _, version_ = served.tag.partition(":")
    side = served.image_size
    return {
        "name": name,
        "versions": [version_],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": (-1, side, side, 3)}],
        "outputs": outputs(served),
    }
