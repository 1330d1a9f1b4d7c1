"""Write store entries whose model takes a chosen time, like a real network, and answers with the strongest colour."""

from __future__ import annotations

import functools
import tempfile
import time
from pathlib import Path
from typing import Literal

import numpy as np

from model_format.layout import FILES, INPUT, OUTPUT, input_shape, output_shape
from tests.stored import SIZE, write_entry

Cost = Literal["image", "call"]
"""Whether each image takes the time, or each call, whatever its batch size."""

_WIDTH = 128
"""Width of the square matrices that are multiplied: they fit into the CPU's cache, so that the time is steady."""


def write_slow_entry(folder: Path, milliseconds: float, cost: Cost = "image", *, trap: bool = False) -> Path:
    """Write a store entry whose model takes about `milliseconds` of one core, measured here and now.

    With `trap`, a call never returns if the image is completely white.
    """
    write_entry(folder, int8=False)
    repetitions = max(1, round(milliseconds / 1000 / _seconds_per_repetition()))
    _write_onnx(folder / FILES["onnx"], repetitions, cost, trap=trap)
    return folder


@functools.cache
def _seconds_per_repetition() -> float:
    few, many = 50, 450
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "slow.onnx")
        seconds = []
        for repetitions in (few, many):
            _write_onnx(path, repetitions, "image")
            seconds.append(seconds_a_call(path, 1))
    return (seconds[1] - seconds[0]) / (many - few)


def seconds_a_call(path: Path, batch: int) -> float:
    """Return the median time of a call on one thread, in seconds."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    images = np.zeros((batch, SIZE, SIZE, 3), np.uint8)
    times = []
    for _ in range(9):
        started = time.perf_counter()
        session.run([OUTPUT], {INPUT: images})
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2]


def _write_onnx(path: Path, repetitions: int, cost: Cost, *, trap: bool = False) -> None:
    """Write the model of `tests.stored` with a loop of matrix products whose sum, times 0, is added to the scores."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((_WIDTH, _WIDTH)))[0].astype(np.float32)
    constants = {
        "scale": np.array(8 / 255, np.float32),
        "height_width": np.array([1, 2]),
        "ones": np.ones((1, _WIDTH, _WIDTH), np.float32),
        "rotation": rotation,
        "repetitions": np.array(repetitions),
        "true": np.array(True),
        "zero": np.array(0, np.float32),
        "first": np.array([0]),
        "second": np.array([1]),
        "last": np.array([2]),
        "white": np.array(254.5, np.float32),
        "endless": np.array(2**62 if trap else repetitions),
    }
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["continue_in"], ["continue_out"]),
            helper.make_node("MatMul", ["state_in", "rotation"], ["state_out"]),
        ],
        "product",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("continue_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state_in", TensorProto.FLOAT, ["n", _WIDTH, _WIDTH]),
        ],
        [
            helper.make_tensor_value_info("continue_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state_out", TensorProto.FLOAT, ["n", _WIDTH, _WIDTH]),
        ],
    )
    worked_on = "mean" if cost == "image" else "first_mean"
    nodes = [
        helper.make_node("Cast", [INPUT], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "height_width"], ["mean"], keepdims=0),
        helper.make_node("Slice", ["mean", "first", "second", "first"], ["first_mean"]),
        helper.make_node("ReduceMean", [worked_on, "second"], ["brightness"], keepdims=1),
        helper.make_node("Unsqueeze", ["brightness", "last"], ["start"]),
        helper.make_node("Mul", ["start", "ones"], ["state"]),
        helper.make_node("ReduceMax", ["brightness"], ["brightest"], keepdims=0),
        helper.make_node("Greater", ["brightest", "white"], ["is_white"]),
        helper.make_node("Where", ["is_white", "endless", "repetitions"], ["trips"]),
        helper.make_node("Loop", ["trips", "true", "state"], ["rotated"], body=body),
        helper.make_node("ReduceMean", ["rotated", "height_width"], ["work"], keepdims=0),
        helper.make_node("Unsqueeze", ["work", "second"], ["column"]),
        helper.make_node("Mul", ["column", "zero"], ["nothing"]),
        helper.make_node("Mul", ["mean", "scale"], ["scores"]),
        helper.make_node("Add", ["scores", "nothing"], ["late_scores"]),
        helper.make_node("Softmax", ["late_scores"], [OUTPUT], axis=-1),
    ]
    image = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, input_shape(SIZE))
    probabilities = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, output_shape(3))
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "slow-strongest-colour", [image], [probabilities], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
