"""A first convolution that whitens patches of pixels; computed from images, not trained.

Neighbouring pixels are nearly equal, so a first layer with random weights spends its early epochs on learning their
differences. Whitening turns small patches into uncorrelated features of equal variance.
After David Page ("How to train your ResNet 8", 2019) and Jordan ("94% on CIFAR-10 in 3.29 seconds", 2024).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from training.network.pretrained import leaves

NAME = "whitening"
_PATCH = 2
"""Pixels per side. 2 x 2 x 3 values give 12 features, and 12 more with the opposite sign, as activations clip at 0."""
_FLOOR = 0.02
"""Larger than in the sources, which use no JPEG files. JPEG removes most differences between neighbouring pixels, of
colour above all, and whitening would enlarge the remainder to the size of all other features."""
_NOTHING = 1e-6
"""Variance below which a feature is treated as rounding noise, as a fraction of the features' mean variance. Grey
images have no colour apart from rounding. Each batch normalisation would enlarge it up to 30 times, until it changes
the answer, and differently in each runtime. Colours in JPEG files have 100 times this variance."""
_PIXELS = 2**20
"""Pixels used to compute the layer: 1,024 images of 32 x 32, or 20 of 224 x 224."""


def layer(policy: Any) -> Any:
    """Return the Keras layer, (B, H, W, 3) -> (B, H - 1, W - 1, 24). `fit` sets its weights."""
    from keras import layers

    return layers.Conv2D(2 * 3 * _PATCH**2, _PATCH, trainable=False, name=NAME, dtype=policy)


def images_needed(size: int) -> int:
    """Return how many images of `size` x `size` pixels `fit` needs."""
    return max(1, _PIXELS // size**2)


def fit(model: Any, images: np.ndarray) -> None:
    """Set the weights of the whitening layer in `model` or in a model within it, if there is one.

    Args:
        model: of `network.build`.
        images: training images, (N, S, S, 3) uint8.
    """
    for layer in leaves(model):
        if layer.name == NAME:
            layer.set_weights(weights(images.astype(np.float32) / 255))


def weights(pixels: np.ndarray, floor: float = _FLOOR) -> list[np.ndarray]:
    """Return the filters of `kernel` and the biases that make each feature's mean 0, (24,) float32."""
    filters = kernel(pixels, floor)
    return [filters, -filters.sum(axis=(0, 1)).T @ pixels.mean(axis=(0, 1, 2))]


def kernel(pixels: np.ndarray, floor: float = _FLOOR) -> np.ndarray:
    """Return the filters, (2, 2, 3, 24) float32, whose outputs are uncorrelated and have a variance of at most 1.

    If the images don't vary in a direction, another direction is used twice: filters of zeros would never be of use to
    the layers after them.

    Args:
        pixels: (N, S, S, 3) float.
        floor: fraction of the mean variance that is added to each feature's before scaling: the smallest are noise.
    """
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (_PATCH, _PATCH), axis=(1, 2))
    # The windows have shape (..., 3, 2, 2); a kernel has its channels last.
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, _PATCH * _PATCH * 3)
    variances, directions = np.linalg.eigh(np.cov(patches, rowvar=False))
    # LAPACK chooses the sign of an eigenvector; workers on different processors need the same one.
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, range(len(largest))])
    least = floor * variances.mean() or 1.0  # images of one colour have no variance
    filters = directions / np.sqrt(np.maximum(variances, 0) + least)
    varied = np.flatnonzero(variances > _NOTHING * variances.mean())
    filters = filters[:, np.resize(varied, len(variances))]
    both: np.ndarray = np.concatenate([filters, -filters], axis=1).reshape(_PATCH, _PATCH, 3, -1)
    return both.astype(np.float32)
