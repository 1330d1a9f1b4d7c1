"""What the service says of itself and of its model."""

from __future__ import annotations

import json
from pathlib import Path

from bento.http.handlers.about import describe, model_metadata, server_metadata
from bento.models.model import ServedModel

SERVED = ServedModel("image_classifier:v1", "onnx", Path("model.onnx"), [str(label) for label in range(10)], 32)


def test_metadata_names_the_tensors() -> None:
    assert server_metadata()["extensions"] == ["binary_tensor_data"]
    about = json.loads(json.dumps(model_metadata(SERVED)))
    assert (about["name"], about["versions"], about["platform"]) == ("image_classifier", ["v1"], "onnxruntime_onnx")
    assert about["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 32, 32, 3]}]
    assert about["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}]


def test_the_version_names_the_model_and_every_library_that_an_answer_depends_on() -> None:
    about = describe(SERVED, "0" * 64)
    assert (about["model"], about["digest"], about["image_size"]) == ("image_classifier:v1", "0" * 64, 32)
    assert {"image-classifier", "python", "bentoml", "numpy", "onnxruntime", "pillow"} == set(about["versions"])
