"""A Keras model as ONNX, by tf2onnx: `python -m training.converter MODEL.keras FILE.onnx`. Checks and renames nothing.

Keras' files belong to no backend. A model that JAX or PyTorch trained is converted by TensorFlow in a process
of its own, so that all backends share one converter.
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
    """Write a built `keras.Model` to `target` as ONNX, with TensorFlow's names.

    Raises:
        ModelError: the process that converts failed.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        _export(model, target)
        return
    root = Path(__file__).parents[2]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    # The accelerator is in use here, and nothing of this is heavy.
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": path}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.keras")
        model.save(source)
        command = [sys.executable, "-m", "training.export.converter", str(source), str(target)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ModelError(f"TensorFlow, which makes the ONNX form, failed: {said[-1]}")


def _export(model: Any, target: Path) -> None:
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), _copies_given_back():
            warnings.simplefilter("ignore")  # tf2onnx asks NumPy for names that it no longer has
            model.export(target, format="onnx", verbose=False)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _copies_given_back() -> Iterator[None]:
    """Collect garbage often: tf2onnx copies the graph, weights and all, for each of its passes, in cycles.

    Of 12 MB of weights it else takes 840 MB of memory, of a ResNet-50's 95 MB over 6 GB.
    """
    threshold = gc.get_threshold()
    gc.collect()
    gc.freeze()  # what is there already would make each collection long, and so rare
    gc.set_threshold(700, 5, 2)
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        gc.unfreeze()


def _main(source: str, target: str) -> None:
    from training.environment import import_keras

    model = import_keras().saving.load_model(source, compile=False)
    model(np.zeros((1, *model.input_shape[1:]), np.uint8))  # Keras exports only what was called before
    _export(model, Path(target))


if __name__ == "__main__":
    _main(*sys.argv[1:])
