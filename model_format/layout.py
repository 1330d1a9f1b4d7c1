"""Names of the files in a store entry, and of the tensors in its ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Form = Literal["onnx-int8", "onnx", "keras"]
"""A form of the model that can be run."""

FILES: dict[Form, str] = {"onnx-int8": "model-int8.onnx", "onnx": "model.onnx", "keras": "model.keras"}
"""The file of each form, the fastest form first. Every entry has "onnx" and "keras"."""

GOLDEN_FOLDER = "golden"
GOLDEN_INDEX = "golden.json"
"""Lists the images in `GOLDEN_FOLDER`, where it is itself."""

LIMITS = "limits.json"
"""What is known about the limits of the model's answers: see `model_format.limits`. Older entries have none."""

CARD = "README.md"
"""The model's card, for people, under the name by which Hugging Face looks for one. Older entries have none."""

INPUT = "image"
"""The ONNX input: (batch, S, S, 3) uint8, RGB, with S pixels a side."""

OUTPUT = "probabilities"
"""The ONNX output: (batch, C) float32, in label order; each row sums to 1."""

SCORES = "scores"
"""The second ONNX output: (batch, C) float32, calibrated, before the softmax. Entries without `LIMITS` may lack it."""

BATCH = "batch"
"""The name of the first dimension, which can have any size."""


def input_shape(image_size: int) -> list[str | int]:
    """Return the shape of `INPUT`: any number of images of `image_size` x `image_size` pixels."""
    return [BATCH, image_size, image_size, 3]


def output_shape(classes: int) -> list[str | int]:
    """Return the shape of `OUTPUT`: one row of `classes` probabilities per image."""
    return [BATCH, classes]


def forms(entry: Path) -> list[Form]:
    """Return the forms that the folder `entry` has a file of, the fastest first."""
    return [form for form, file in FILES.items() if (entry / file).exists()]
