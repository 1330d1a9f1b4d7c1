"""Build the convolutional network, from uint8 pixels to probabilities. It rescales the pixels itself."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from training.config import Config
from training.network import pretrained, whitening

# Processor features with which bfloat16 is faster than float32. Without any, it is emulated. Intel's AVX-512 reaches
# half the speed of float32, AMD's 1.6 times (python -m benchmarks.step).
_BFLOAT16 = ({"amx_bf16"}, {"bf16"}, {"avx512_bf16", "AuthenticAMD"})
SCORES = "probabilities"
"""Name of the last layer."""
_CPUINFO = Path("/proc/cpuinfo")
_SMALL_MAP = 8
"""Up to this width in pixels, AMX computes a kernel's gradient faster as matrix products."""


def build(config: Config, classes: int) -> Any:
    """Return an uncompiled `keras.Model`: (B, S, S, 3) uint8 -> (B, classes) float32 softmax.

    The network has `depth` stages, each with twice the filters of the one before, then global average pooling.

    - A "plain" stage is two 3x3 convolutions with batch normalisation and a 2x2 max pooling, as in VGG (Simonyan &
      Zisserman, 2015).
    - A "residual" stage is a convolution with pooling, and two more whose result is added (He et al., 2016), as in
      David Page's fast network for CIFAR-10 ("How to train your ResNet", 2018), but with a block in each stage.
    - A "pooled" stage is a residual one, but all stages after the first have four times its filters, every convolution
      starts as the identity, and the last pooling takes maxima (Jordan, "94% on CIFAR-10 in 3.29 seconds", 2024).

    A backbone replaces all stages.

    Args:
        config: with the backbone's options settled by `backbone.settle`.
        classes: their number.
    """
    from keras import Input, Model, backend, dtype_policies, layers, regularizers

    from training.network.convolution import SmallMapConvolution
    from training.network.normalization import FusedBatchNormalization

    bfloat16 = uses_bfloat16(config)
    policy = dtype_policies.DTypePolicy("mixed_bfloat16" if bfloat16 else "float32")
    small_map = _SMALL_MAP if bfloat16 and "amx_bf16" in _features() else 0
    penalty = regularizers.L2(config.l2) if config.l2 else None
    # A checkpoint doesn't include the random state of PyTorch's dropout. With a seed, Keras draws the numbers itself.
    torch = backend.backend() == "torch"
    seeds = itertools.count(config.seed)

    def dropout(rate: float, policy: Any = None) -> Any:
        return layers.Dropout(rate, seed=next(seeds) if torch else None, dtype=policy)

    def convolution(x: Any, filters: int, pooled: bool = False) -> Any:
        kind = SmallMapConvolution if x.shape[1] <= small_map else layers.Conv2D
        x = kind(
            filters,
            3,
            padding="same",
            use_bias=False,  # batch normalisation has one
            kernel_initializer="he_normal",
            kernel_regularizer=penalty,
            dtype=policy,
        )(x)
        if pooled and x.shape[1] > 1:
            x = layers.MaxPooling2D(dtype=policy)(x)
        return normalised(x)

    def normalised(x: Any) -> Any:
        # Keras' default of 0.99 needs hundreds of steps, and a small folder has few per epoch.
        x = FusedBatchNormalization(momentum=0.9, dtype=policy)(x)
        return layers.Activation(config.activation, dtype=policy)(x)

    def plain(x: Any, filters: int) -> Any:
        x = convolution(convolution(x, filters), filters)
        return layers.MaxPooling2D(dtype=policy)(x) if x.shape[1] > 1 else x

    def residual(x: Any, filters: int) -> Any:
        x = convolution(x, filters, pooled=True)
        return layers.Add(dtype=policy)([x, convolution(convolution(x, filters), filters)])

    def stages(x: Any) -> Any:
        for stage in range(config.depth):
            wider = min(stage, 1) * 2 if config.block == "pooled" else stage
            x = (plain if config.block == "plain" else residual)(x, config.width * 2**wider)
            x = dropout(config.dropout / 2, policy)(x)
        return x

    image = Input((config.image_size, config.image_size, 3), dtype="uint8", name="image")
    if config.has_backbone:
        x = pretrained.features(config, image)
    else:
        x = layers.Rescaling(1 / 255, name="to_unit_range")(image)
        if config.whitening:
            x = layers.Activation(config.activation, dtype=policy)(whitening.layer(policy)(x))
        elif config.block == "residual":
            x = convolution(x, config.width // 2)
        x = stages(x)
    made_of_pooled = not config.has_backbone and config.block == "pooled"
    pooling = layers.GlobalMaxPooling2D if made_of_pooled else layers.GlobalAveragePooling2D
    x = pooling(dtype="float32")(x)
    x = dropout(config.dropout)(x)
    if config.dense and not config.is_pretrained:
        x = layers.Dense(
            config.dense, activation=config.activation, kernel_initializer="he_normal", kernel_regularizer=penalty
        )(x)
    probabilities = layers.Dense(classes, activation="softmax", kernel_regularizer=penalty, name=SCORES)(x)
    model = Model(image, probabilities, name="image_classifier")
    if made_of_pooled:
        _begin_plainly(model)
    return model


def _begin_plainly(model: Any) -> None:
    """Make each 3x3 convolution pass on its input in its first filters, and make the initial scores almost zero."""
    from keras import layers

    for layer in model.layers:
        if isinstance(layer, layers.Conv2D) and layer.kernel_size == (3, 3):
            (kernel,) = layer.get_weights()
            passed = range(min(layer.filters, kernel.shape[2]))
            kernel[..., passed] = 0
            kernel[1, 1, passed, passed] = 1
            layer.set_weights([kernel])
    scores = model.get_layer(SCORES)
    kernel, bias = scores.get_weights()
    scores.set_weights([kernel * (0.005 / max(kernel.std(), 1e-9)), bias])


def uses_bfloat16(config: Config) -> bool:
    """Return whether training's convolutions compute in bfloat16. Weights, statistics and the last layers never do."""
    return config.precision == "bfloat16" or (config.precision == "auto" and bfloat16_is_faster())


def bfloat16_is_faster(cpuinfo: Path = _CPUINFO) -> bool:
    """Return whether this processor is faster with bfloat16 than with float32; False if its features are unknown."""
    return any(needed <= _features(cpuinfo) for needed in _BFLOAT16)


def _features(cpuinfo: Path = _CPUINFO) -> set[str]:
    """Return the processor's features, or an empty set if they are unknown."""
    try:
        return set(cpuinfo.read_text().split())
    except OSError:
        return set()
