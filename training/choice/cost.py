"""What a network costs to serve: its time on one core, and its size."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from model_format.layout import FILES
from training.features.extractor import Cost, timed
from training.forms import onnx_model


def measure(model: Any) -> Cost:
    """Export `model`, (B, S, S, 3) uint8 -> (B, C) and time it."""
    size = int(model.input.shape[1])
    image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    model(image)  # Keras exports a model only after its first call
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, FILES["onnx"])
        onnx_model.to_onnx(model, file)
        return timed(file, size)
