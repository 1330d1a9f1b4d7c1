"""What a network costs to serve: its time on one core, and its size."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_format.layout import FILES, INPUT, OUTPUT
from training.export import onnx_model

_RUNS = 30


@dataclass(frozen=True)
class Cost:
    """Milliseconds of an image on one core, and megabytes of the file, both as fp32 ONNX."""

    milliseconds: float
    megabytes: float


def measure(model: Any) -> Cost:
    """Export `model`, (B, S, S, 3) uint8 -> (B, C), and time single images: the median of 30, after a warm-up."""
    import onnxruntime

    size = int(model.input.shape[1])
    image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    model(image)  # Keras exports a model only after its first call
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, FILES["onnx"])
        onnx_model.to_onnx(model, file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        seconds = []
        for _ in range(_RUNS + 5):
            started = time.perf_counter()
            session.run([OUTPUT], {INPUT: image})
            seconds.append(time.perf_counter() - started)
        return Cost(1000 * float(np.median(seconds[5:])), file.stat().st_size / 1e6)
