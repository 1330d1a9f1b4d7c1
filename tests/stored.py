"""Make a model-store entry by hand, without TensorFlow: a model that answers an image's strongest colour."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

import imaging

CLASSES = ["red", "green", "blue"]
SIZE = 8


def picture(colour: str, format_: str = "PNG", size: tuple[int, int] = (20, 16)) -> bytes:
    """Return an encoded image of one colour of `CLASSES`, or white."""
    out = io.BytesIO()
    shades = {"red": "#d02020", "green": "#20d020", "blue": "#2020d0", "white": "#ffffff"}
    Image.new("RGB", size, shades[colour]).save(out, format_)
    return out.getvalue()


def write_onnx(path: Path, sharpness: float) -> None:
    """Write softmax(sharpness * mean colour / 255) as ONNX: uint8 (batch, 8, 8, 3) -> float32 (batch, 3)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    scale = numpy_helper.from_array(np.array(sharpness / 255, np.float32), "scale")
    axes = numpy_helper.from_array(np.array([1, 2]), "axes")
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=-1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", SIZE, SIZE, 3])
    probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph(nodes, "strongest-colour", [image], [probabilities], [scale, axes])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def write_entry(folder: Path, *, sharpness: float = 8, int8: bool = True) -> Path:
    """Write the files of a store entry as training leaves them."""
    (folder / "golden").mkdir(parents=True)
    write_onnx(folder / "model.onnx", sharpness)
    if int8:
        write_onnx(folder / "model-int8.onnx", sharpness)
    golden = []
    for colour in CLASSES:
        (folder / "golden" / f"{colour}.png").write_bytes(picture(colour, size=(SIZE, SIZE)))
        golden.append({"file": f"{colour}.png", "class": colour, "confidence": 0.9})
    (folder / "golden" / "golden.json").write_text(json.dumps(golden))
    return folder


METADATA = {"schema": 1, "class_names": CLASSES, "image_size": SIZE, "image_policy": imaging.POLICY_VERSION}

BASELINE = {
    "images": 300,
    "class": [1 / 3] * 3,
    "confidence": [0] * 9 + [1],
    "brightness": [0] * 3 + [1] + [0] * 6,
    "bytes": [1] + [0] * 14,
}
"""What training would have found of as many pictures of each colour."""
