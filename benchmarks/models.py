"""Publish models for measuring the service, and make requests whose right answers are known."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import imaging
from benchmarks import openloop
from model_format.layout import FILES, INPUT, OUTPUT, input_shape, output_shape
from model_format.metadata import Metadata
from tests.integration.conftest import Store
from tests.slow_model import write_slow_entry
from tests.stored import CLASSES, picture, write_entry

CNN_SIZE = 32
CNN_CLASSES = [f"c{i}" for i in range(10)]


def publish_slow(store: Store, folder: Path, milliseconds: float) -> list[openloop.Request]:
    """Store a model that takes this many milliseconds per image, whatever the batch size."""
    store.publish(write_slow_entry(folder / "slow", milliseconds))
    return [openloop.Request(openloop.form("/predict", picture(colour, "JPEG")), colour) for colour in CLASSES]


def publish_cnn(store: Store, folder: Path) -> list[openloop.Request]:
    """Store a convolutional network of 290,000 random weights, 32 x 32 pixels and 10 classes."""
    import onnxruntime

    path = write_entry(folder, int8=False) / FILES["onnx"]
    write_cnn(path)
    publish(store, folder, describe(CNN_CLASSES, CNN_SIZE))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    requests = []
    for _ in range(20):
        out = io.BytesIO()
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((CNN_SIZE, CNN_SIZE)).save(out, "JPEG", quality=90)
        image = imaging.decode(out.getvalue(), CNN_SIZE)
        best = session.run([OUTPUT], {INPUT: image[np.newaxis]})[0][0].argmax()
        requests.append(openloop.Request(openloop.form("/predict", out.getvalue()), CNN_CLASSES[best]))
    return requests


def describe(classes: list[str], size: int) -> Metadata:
    """Return the metadata of a model with those classes that takes `size` x `size` pixels."""
    return Metadata(classes, size, imaging.POLICY_VERSION)


def publish(store: Store, files: Path, metadata: Metadata) -> None:
    """Store `files` as training does."""
    script = (
        "import json, sys; from pathlib import Path; from training.export.publish import publish; "
        "publish('image_classifier', Path(sys.argv[1]), {}, json.loads(sys.argv[2]))"
    )
    command = [sys.executable, "-c", script, str(files), json.dumps(metadata.to_metadata())]
    subprocess.run(command, env=store.environment, check=True)


def write_cnn(path: Path) -> None:
    """Write the network of `publish_cnn`."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = {"scale": np.array(1 / 255, np.float32)}
    nodes = [
        helper.make_node("Cast", [INPUT], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["x"], perm=[0, 3, 1, 2]),
    ]
    x, channels = "x", 3
    for width in (32, 64, 128):
        for i in (1, 2):
            name = f"conv{width}_{i}"
            kernel = rng.standard_normal((width, channels, 3, 3)) / np.sqrt(9 * channels)
            weights[name + "_kernel"] = kernel.astype(np.float32)
            nodes += [
                helper.make_node("Conv", [x, name + "_kernel"], [name], pads=[1, 1, 1, 1]),
                helper.make_node("Relu", [name], [name + "_relu"]),
            ]
            x, channels = name + "_relu", width
        nodes.append(helper.make_node("MaxPool", [x], [f"pool{width}"], kernel_shape=[2, 2], strides=[2, 2]))
        x = f"pool{width}"
    weights["dense"] = rng.standard_normal((channels, len(CNN_CLASSES))).astype(np.float32)
    nodes += [
        helper.make_node("GlobalAveragePool", [x], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["features"]),
        helper.make_node("MatMul", ["features", "dense"], ["scores"]),
        helper.make_node("Softmax", ["scores"], [OUTPUT], axis=-1),
    ]
    for i, node in enumerate(nodes):
        # The quantiser selects the nodes to leave out by name.
        node.name = f"node{i}"
    image = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, input_shape(CNN_SIZE))
    probabilities = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, output_shape(len(CNN_CLASSES)))
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "cnn", [image], [probabilities], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
