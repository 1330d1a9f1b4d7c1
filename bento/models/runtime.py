"""Run a model: (N, S, S, 3) uint8 in, (N, C) float32 probabilities out, by ONNX Runtime or Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from model_format.layout import INPUT, OUTPUT, Form

Runtime = Callable[[np.ndarray], np.ndarray]


def load(form: Form, path: Path, threads: int) -> Runtime:
    """Load the file `path` of a model in that form.

    Args:
        form: chooses ONNX Runtime or Keras.
        path: the form's file in the store entry.
        threads: used by one call of ONNX Runtime; Keras chooses its own.
    """
    return KerasModel(path) if form == "keras" else _onnx(path, threads)


def _onnx(path: Path, threads: int) -> Runtime:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait for work would use up the container's CPU quota and slow down decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(images: np.ndarray) -> np.ndarray:
        result: np.ndarray = session.run([OUTPUT], {INPUT: images})[0]
        return result

    return run


class KerasModel:
    """A `Runtime` by Keras that exposes its `model` and the module `keras`, which explanations need."""

    def __init__(self, path: Path) -> None:
        import keras

        self.keras: Any = keras
        self.model: Any = keras.saving.load_model(path, compile=False)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        # `model.predict` would build a data pipeline for each call.
        result: np.ndarray = self.keras.ops.convert_to_numpy(self.model(images, training=False))
        return result
