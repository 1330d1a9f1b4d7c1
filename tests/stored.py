"""Make a store entry by hand, without TensorFlow: its model answers the strongest colour of an image."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

import imaging
from model_format import golden, limits
from model_format.golden import GoldenImage
from model_format.layout import FILES, INPUT, OUTPUT, SCORES, forms, input_shape, output_shape
from model_format.limits import Limits
from model_format.metadata import Baseline, Metadata

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
        helper.make_node("Cast", [INPUT], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], [SCORES]),
        helper.make_node("Softmax", [SCORES], [OUTPUT], axis=-1),
    ]
    image = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, input_shape(SIZE))
    probabilities = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, output_shape(len(CLASSES)))
    scores = helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, output_shape(len(CLASSES)))
    graph = helper.make_graph(nodes, "strongest-colour", [image], [probabilities, scores], [scale, axes])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def write_entry(folder: Path, *, sharpness: float = 8, int8: bool = True) -> Path:
    """Write the files of a store entry as training does, without the Keras form; return `folder`."""
    folder.mkdir(parents=True)
    write_onnx(folder / FILES["onnx"], sharpness)
    if int8:
        write_onnx(folder / FILES["onnx-int8"], sharpness)
    pictures = [GoldenImage(f"{colour}.png", picture(colour, size=(SIZE, SIZE)), colour, 0.9) for colour in CLASSES]
    golden.write(golden.folder_of(folder), pictures)
    limits.write(folder, dict.fromkeys(forms(folder), LIMITS))
    return folder


LIMITS = Limits(999, [-8 + i / 300 for i in range(999)], [i / 1000 for i in range(999)])
"""Made up. Colours have energies of -6.6 to -6.2, and black has one of -1.1, above all of these."""


BASELINE = Baseline(
    images=300,
    shares={
        "class": [1 / 3] * 3,
        "confidence": [0.0] * 9 + [1.0],
        "brightness": [0.0] * 3 + [1.0] + [0.0] * 6,
        "bytes": [1.0] + [0.0] * 14,
    },
)
"""What training would have found in as many pictures of each colour."""

METADATA = Metadata(CLASSES, SIZE, imaging.POLICY_VERSION, baseline=BASELINE)

SCHEMA_1 = Path(__file__).parent / "entries" / "schema_1"
"""An entry that a training stored under metadata schema 1, with model.yaml. Its classes are blue, green and red."""


def place(home: Path, *, schema: int = 1) -> str:
    """Copy `SCHEMA_1` into the model store of `home`, with another schema if one is given; return its tag."""
    about = (SCHEMA_1 / "model.yaml").read_text()
    version = about.partition("\nversion: ")[2].partition("\n")[0]
    models = home / "models" / "image_classifier"
    shutil.copytree(SCHEMA_1, models / version)
    (models / version / "model.yaml").write_text(about.replace("\n  schema: 1\n", f"\n  schema: {schema}\n"))
    (models / "latest").write_text(version)
    return f"image_classifier:{version}"
