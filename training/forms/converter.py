"""Convert a Keras model to ONNX by tf2onnx: `python -m training.forms.converter MODEL.keras FILE.onnx`.

Keras' files are the same for every backend. A model that JAX or PyTorch trained is converted by TensorFlow in
another process, so that all backends share one converter.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from training.errors import ModelError


def convert(model: Any, target: Path) -> None:
    """Write a built `keras.Model` to `target` as ONNX, with TensorFlow's names for input and output.

    Raises:
        ModelError: the converting process failed.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        _export(model, target)
        return
    root = Path(__file__).parents[2]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    # The accelerator is busy in this process, and a conversion doesn't need one.
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": path}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.keras")
        model.save(source)
        command = [sys.executable, "-m", "training.forms.converter", str(source), str(target)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ModelError(f"TensorFlow failed to make the ONNX form: {said[-1]}")


def _export(model: Any, target: Path) -> None:
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), _frequent_collections():
            warnings.simplefilter("ignore")  # tf2onnx uses deprecated names of NumPy
            model.export(target, format="onnx", verbose=False)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _frequent_collections() -> Iterator[None]:
    """Collect garbage often: each pass of tf2onnx copies the graph with its weights, and leaves the copy in a cycle.

    Without this, 12 MB of weights take 840 MB of memory, and the 95 MB of a ResNet-50 over 6 GB.
    """
    threshold = gc.get_threshold()
    gc.collect()
    gc.freeze()  # scanning the existing objects would make each collection slow
    gc.set_threshold(700, 5, 2)
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        gc.unfreeze()


def _main(source: str, target: str) -> None:
    from training.environment import import_keras

    model = import_keras().saving.load_model(source, compile=False)
    model(np.zeros((1, *model.input_shape[1:]), np.uint8))  # Keras exports a model only after a call
    _export(model, Path(target))


if __name__ == "__main__":
    _main(*sys.argv[1:])
