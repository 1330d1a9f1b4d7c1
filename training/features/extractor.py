"""The part of a pretrained network from pixels to features, as ONNX: three times as fast as Keras on a processor."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.config import Config
from training.data.locations import cache_dir
from training.forms import converter
from training.network import backbone, network

_FOLDER = "networks"
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
_STRIDE = 32
"""Images whose size is a multiple of this have whole feature maps in each of the known networks."""
_RUNS = 30


@dataclass(frozen=True)
class Cost:
    """Milliseconds of an image on one core, and megabytes of the file, both as fp32 ONNX."""

    milliseconds: float
    megabytes: float


class Extractor:
    """Turns images into the features that the last layer of a network classifies.

    The converted network is kept in the cache, so that a later run neither builds nor converts it.

    Args:
        config: settled by `backbone.settle`, with a pretrained backbone.
    """

    def __init__(self, config: Config) -> None:
        import onnxruntime

        self.key = backbone.identity(config) + (f"-{config.image_size}" if _is_rigid(config) else "")
        """Names the network and its weights, and the size of its images if it takes no other."""
        file = cache_dir(config) / _FOLDER / f"{self.key}.onnx"
        if not file.exists():
            file = _converted(config, file)
        self._file = file
        self._session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        self._input, self._output = self._session.get_inputs()[0].name, self._session.get_outputs()[0].name
        self.length = int(self._session.get_outputs()[0].shape[-1])
        """Numbers in the features of an image."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the features, (B, length) float32, of `images`, (B, S, S, 3) uint8."""
        found: np.ndarray = self._session.run([self._output], {self._input: images})[0]
        return found

    def cost(self, size: int) -> Cost:
        """Return what images of `size` pixels cost."""
        return timed(self._file, size)


def timed(file: Path, size: int) -> Cost:
    """Time single images of `size` pixels on one core by the ONNX `file`: the median of 30, after a warm-up."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    seconds = []
    for _ in range(_RUNS + 5):
        started = time.perf_counter()
        session.run(None, {name: image})
        seconds.append(time.perf_counter() - started)
    return Cost(1000 * float(np.median(seconds[5:])), file.stat().st_size / 1e6)


def _is_rigid(config: Config) -> bool:
    return backbone.is_stored(config.backbone) or config.image_size % _STRIDE > 0


def _converted(config: Config, file: Path) -> Path:
    """Build the network of `config` and write it to `file`, or to a temporary one if the cache can't be written."""
    import onnx
    import onnxruntime
    from keras import Model

    whole = network.build(config, 2)
    part = Model(whole.input, whole.get_layer(network.SCORES).input)
    part(np.zeros((1, config.image_size, config.image_size, 3), np.uint8))  # Keras exports a model after its first call
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(dir=file.parent)
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
        folder = tempfile.mkdtemp()
        file = Path(folder, file.name)
    raw, partial = Path(folder, "raw.onnx"), Path(folder, "partial.onnx")
    converter.convert(part, raw)
    graph = onnx.load(raw)
    _loosen(graph, rigid=_is_rigid(config))
    onnx.save(graph, raw)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(partial)
    onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    raw.unlink()
    partial.replace(file)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
    return file


def _loosen(graph: Any, *, rigid: bool) -> None:
    """Let `graph` take batches of any size and, unless it is `rigid`, images of any size."""
    shape = graph.graph.input[0].type.tensor_type.shape
    shape.dim[0].dim_param = "batch"
    if not rigid:
        shape.dim[1].dim_param = shape.dim[2].dim_param = "size"
    graph.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.graph.value_info[:]
