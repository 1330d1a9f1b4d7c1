"""Write a ResNet-50 with random weights as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from model_format.layout import INPUT, OUTPUT, input_shape, output_shape


class _Graph:
    """Collects nodes and weights. Each method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._rng = np.random.default_rng(0)

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"{operation}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], name=name, **attributes))
        return name

    def weight(self, value: np.ndarray) -> str:
        from onnx import numpy_helper

        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    def convolution(self, x: str, before: int, after: int, kernel: int, stride: int = 1) -> str:
        """Add a convolution with its batch normalisation folded in, as an export does."""
        scale = np.sqrt(2 / (before * kernel**2))
        weights = self.weight(self._rng.standard_normal((after, before, kernel, kernel)) * scale)
        return self.add("Conv", x, weights, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4, strides=[stride] * 2)

    def bottleneck(self, x: str, before: int, width: int, stride: int) -> str:
        """Add a block of He et al., Deep Residual Learning for Image Recognition (2016), figure 5."""
        y = self.add("Relu", self.convolution(x, before, width, 1))
        y = self.add("Relu", self.convolution(y, width, width, 3, stride))
        y = self.convolution(y, width, 4 * width, 1)
        if before != 4 * width or stride > 1:
            x = self.convolution(x, before, 4 * width, 1, stride)
        return self.add("Relu", self.add("Add", y, x))


def write_resnet50(path: Path, size: int, classes: int) -> None:
    """Write a ResNet-50: images (N, size, size, 3) uint8 to probabilities (N, classes)."""
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph()
    x = graph.add("Mul", graph.add("Cast", INPUT, to=TensorProto.FLOAT), graph.weight(np.array(1 / 255)))
    x = graph.add("Relu", graph.convolution(graph.add("Transpose", x, perm=[0, 3, 1, 2]), 3, 64, 7, 2))
    x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            x = graph.bottleneck(x, channels, width, 2 if block == 0 and width > 64 else 1)
            channels = 4 * width
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    dense = graph.weight(np.random.default_rng(1).standard_normal((channels, classes)) * 1e-6)
    graph.nodes.append(helper.make_node("Softmax", [graph.add("MatMul", x, dense)], [OUTPUT], name="answer"))
    image = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, input_shape(size))
    answer = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, output_shape(classes))
    made = helper.make_graph(graph.nodes, "resnet50", [image], [answer], graph.weights)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
