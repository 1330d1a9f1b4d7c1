"""Run a model: (N, S, S, 3) uint8 in, (N, C) float32 probabilities out, by ONNX Runtime or Keras.

Who asks for them gets the scores before the softmax too, which the novelty of an image is computed from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from model_format.layout import INPUT, OUTPUT, SCORES, Form

Runtime = Callable[[np.ndarray], np.ndarray]


def load(form: Form, path: Path, threads: int) -> Runtime:
    """Load the file `path` of a model in that form.

    Args:
        form: chooses ONNX Runtime or Keras.
        path: the form's file in the store entry.
        threads: used by one call of ONNX Runtime; Keras chooses its own.
    """
    return KerasModel(path) if form == "keras" else OnnxModel(path, threads)


def with_scores(run: Runtime, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities that `run` alone would return, and the scores before the softmax; (N, C) float32 each.

    Raises:
        TypeError: `run` is not of `load`.
    """
    if not isinstance(run, (OnnxModel, KerasModel)):
        raise TypeError(f"{run} gives no scores")
    return run.with_scores(images)


class OnnxModel:
    """A `Runtime` by ONNX Runtime, safe to call from several threads."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait for work would use up the container's CPU quota and slow down decoding.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        result: np.ndarray = self._session.run([OUTPUT], {INPUT: images})[0]
        return result

    def with_scores(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities, scores = self._session.run([OUTPUT, SCORES], {INPUT: images})
        return probabilities, scores


class KerasModel:
    """A `Runtime` by Keras that exposes its `model` and the module `keras`, which explanations need."""

    def __init__(self, path: Path) -> None:
        import keras

        self.keras: Any = keras
        self.model: Any = keras.saving.load_model(path, compile=False)
        self._both: Any = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        # `model.predict` would build a data pipeline for each call.
        result: np.ndarray = self.keras.ops.convert_to_numpy(self.model(images, training=False))
        return result

    def with_scores(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        head = self.model.layers[-1]
        if self._both is None:
            self._both = self.keras.Model(self.model.input, [self.model.output, head.input])
        probabilities, features = map(self.keras.ops.convert_to_numpy, self._both(images, training=False))
        kernel, bias = head.get_weights()
        scores: np.ndarray = features @ kernel + bias
        return probabilities, scores
