"""Export a trained Keras model to ONNX, check that the output is equal, and quantise it to int8."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from model_format.layout import BATCH, INPUT, OUTPUT, SCORES, output_shape
from training.errors import ModelError
from training.forms import converter

TOLERANCE = 1e-4
"""Largest difference of a probability between Keras and the fp32 ONNX form."""

CALIBRATION_IMAGES = 512
"""Enough for stable activation ranges. More would need more memory: the calibrator keeps all intermediate results."""


def to_onnx(model: Any, path: Path) -> None:
    """Write `model` to `path` as ONNX, with the input and the outputs of `model_format.layout`."""
    import onnx
    import onnxruntime

    raw = path.with_suffix(".raw.onnx")
    converter.convert(model, raw)
    graph = onnx.load(raw)
    _rename(graph)
    onnx.save(graph, raw)
    options = onnxruntime.SessionOptions()
    # The basic level holds on every machine: it folds constants and merges batch normalisation into convolutions.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    raw.unlink()
    graph = onnx.load(path)
    expose_scores(graph)
    onnx.save(graph, path)


def expose_scores(graph: Any) -> None:
    """Make the input of the last softmax the output `SCORES` of the graph, which gets no node more.

    Whoever doesn't ask ONNX Runtime for the scores gets the same probabilities at the same cost as without them.

    Raises:
        ModelError: the probabilities are not those of a softmax.
    """
    from onnx import TensorProto, helper

    graph_ = graph.graph
    if any(value.name == SCORES for value in graph_.output):
        return
    softmax = next((node for node in graph_.node if node.op_type == "Softmax" and OUTPUT in node.output), None)
    if softmax is None:
        raise ModelError("the network doesn't end in a softmax, so it has no scores")
    hidden = softmax.input[0]
    for node in graph_.node:
        node.input[:] = [SCORES if name == hidden else name for name in node.input]
        node.output[:] = [SCORES if name == hidden else name for name in node.output]
    for value in list(graph_.value_info):
        if value.name == hidden:
            graph_.value_info.remove(value)
    classes = graph_.output[0].type.tensor_type.shape.dim[-1].dim_value
    graph_.output.append(helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, output_shape(classes)))


def _rename(graph: Any) -> None:
    """Give the input, the output and the batch dimension the names that the service and its clients use."""
    graph_ = graph.graph
    names = {graph_.input[0].name: INPUT, graph_.output[0].name: OUTPUT}
    for node in graph_.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (graph_.input[0], graph_.output[0]):
        value.name = names[value.name]
        value.type.tensor_type.shape.dim[0].dim_param = BATCH


class OnnxModel:
    """An ONNX file, called with a batch of images."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return (B, C) float32 probabilities; `images` is (B, S, S, 3) uint8."""
        result: np.ndarray = self._session.run([OUTPUT], {INPUT: images})[0]
        return result

    def predict(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """Return the probabilities of all images in `batches`, (N, C) float32."""
        return np.concatenate([self(images) for images in batches])

    def answers(self, batches: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities of all images in `batches` and their scores before the softmax, (N, C) each."""
        found = [self._session.run([OUTPUT, SCORES], {INPUT: images}) for images in batches]
        probabilities, scores = (np.concatenate(pieces) for pieces in zip(*found, strict=True))
        return probabilities, scores


def check_equal(expected: np.ndarray, actual: np.ndarray) -> float:
    """Return the largest difference between two (N, C) arrays of probabilities.

    Raises:
        ModelError: it is more than `TOLERANCE`.
    """
    difference = float(np.abs(expected - actual).max())
    if not difference <= TOLERANCE:
        raise ModelError(f"the ONNX export differs from the Keras model by {difference:.2g}; please report this bug")
    return difference


def to_int8(source: Path, target: Path, batches: Iterator[np.ndarray]) -> None:
    """Write `source` to `target` with 8-bit weights and activations.

    Args:
        source: the fp32 ONNX file.
        target: the int8 ONNX file.
        batches: (B, S, S, 3) uint8 training images, which set the activation ranges.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, np.ndarray] | None:
            images = next(batches, None)
            return None if images is None else {INPUT: images}

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends a pre-processing that `to_onnx` has already done
    try:
        quantize_static(
            source,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            nodes_to_exclude=_head(onnx.load(source).graph),
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        root.setLevel(level)


def _head(graph: Any) -> list[str]:
    """Return the names of the last dense layer and of the nodes after it.

    In 8 bits a confidence would be a multiple of 1/256.
    """
    names: list[str] = []
    for node in reversed(graph.node):
        names.append(node.name)
        if node.op_type in ("MatMul", "Gemm"):
            break
    return names
