"""A first convolution that takes apart what neighbouring pixels share; computed from images, not trained.

Pixels beside each other are nearly equal, so a first layer that starts at random spends its early epochs on learning
to see their differences. Whitened, small patches reach the network as uncorrelated features of equal variance.
After David Page ("How to train your ResNet 8", 2019) and Jordan ("94% on CIFAR-10 in 3.29 seconds", 2024).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from training.network.pretrained import leaves

NAME = "whitening"
_PATCH = 2
"""Pixels a side. Of 2 x 2 x 3 values, so many features and the same ones negated, for what clips below zero."""
_FLOOR = 0.02
"""More than in the sources, whose images are no JPEG files: those keep little of what differs between neighbouring
pixels, least of colour, and what little there is would be made as large as all the rest."""
_NOTHING = 1e-6
"""What a feature is told from rounding by: its variance, as a share of their mean. Grey images have no colour but what
rounding leaves, and each batch normalisation would enlarge that up to thirty times, until it is part of the answer and
another runtime's is another. Colours of JPEG files have a hundred times as much."""
_PIXELS = 2**20
"""That are looked at: 1,024 images of 32 x 32, 20 of 224 x 224."""


def layer(policy: Any) -> Any:
    """Return the Keras layer, to be told its weights by `fit`: (B, H, W, 3) -> (B, H - 1, W - 1, 24)."""
    from keras import layers

    return layers.Conv2D(2 * 3 * _PATCH**2, _PATCH, trainable=False, name=NAME, dtype=policy)


def images_needed(size: int) -> int:
    """Return how many images of `size` x `size` pixels `fit` wants."""
    return max(1, _PIXELS // size**2)


def fit(model: Any, images: np.ndarray) -> None:
    """Give the whitening layer of `model`, or of a model within it, its weights; there may be none.

    Args:
        model: of `network.build`.
        images: of its training, (N, S, S, 3) uint8.
    """
    for layer in leaves(model):
        if layer.name == NAME:
            layer.set_weights(weights(images.astype(np.float32) / 255))


def weights(pixels: np.ndarray, floor: float = _FLOOR) -> list[np.ndarray]:
    """Return filters as of `kernel`, and what makes the mean of each feature 0, (24,) float32."""
    filters = kernel(pixels, floor)
    return [filters, -filters.sum(axis=(0, 1)).T @ pixels.mean(axis=(0, 1, 2))]


def kernel(pixels: np.ndarray, floor: float = _FLOOR) -> np.ndarray:
    """Return the filters, (2, 2, 3, 24) float32, that answer with uncorrelated features of variance 1, or less.

    In place of a direction in which the images don't differ, one in which they do is taken again: filters of 0 would
    leave dead those that pass on their answer.

    Args:
        pixels: (N, S, S, 3) float.
        floor: added to each feature's variance, as a share of their mean, before it is made 1: the smallest are noise.
    """
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (_PATCH, _PATCH), axis=(1, 2))
    # As (..., 3, 2, 2), to be sorted as a kernel is.
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, _PATCH * _PATCH * 3)
    variances, directions = np.linalg.eigh(np.cov(patches, rowvar=False))
    # An eigenvector's sign is LAPACK's choice; workers on other processors must have the same.
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, range(len(largest))])
    least = floor * variances.mean() or 1.0  # images of one colour have no variance at all
    filters = directions / np.sqrt(np.maximum(variances, 0) + least)
    varied = np.flatnonzero(variances > _NOTHING * variances.mean())
    filters = filters[:, np.resize(varied, len(variances))]
    both: np.ndarray = np.concatenate([filters, -filters], axis=1).reshape(_PATCH, _PATCH, 3, -1)
    return both.astype(np.float32)
