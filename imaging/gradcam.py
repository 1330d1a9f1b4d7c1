"""Explain a Keras model with Grad-CAM, on any of Keras' backends. Takes Keras and the model as arguments.

Source: Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class NotExplainable(Exception):
    """The network can't be explained by Grad-CAM; the message says what is missing."""


class GradCam:
    """Explains the classes of one model. Not safe to call from several threads at a time.

    Keras has no function for gradients that works on every backend, but its training step does. Grad-CAM weights
    channel k of the last feature map by the gradient of the class's score, summed over all positions of the map.
    That equals the gradient with respect to a number b_k that is added to the whole channel. So b starts at 0 and
    takes one step of gradient descent with a learning rate of 1. The model itself is not changed.

    Args:
        keras: the module.
        model: a functional `keras.Model` from (B, S, S, 3) images to (B, C) softmax of a dense layer.

    Raises:
        NotExplainable: the model has no convolutions, or doesn't end in a dense layer.
    """

    def __init__(self, keras: Any, model: Any) -> None:
        features = _last_feature_map(keras, model)
        head = model.layers[-1]
        if not isinstance(head, keras.layers.Dense):
            raise NotExplainable("the network doesn't end in a dense layer")
        self._keras = keras
        self._features = keras.Model(model.input, features)
        before_head = keras.Model(features, head.input)

        def score(shifted: Any) -> Any:
            # The score is taken before the softmax, in which other classes would lower it.
            inputs = before_head(shifted, training=False)
            return keras.ops.matmul(inputs, head.kernel) + head.bias

        class Shift(keras.layers.Layer):  # type: ignore[misc]
            def build(self, shape: tuple[int | None, ...]) -> None:
                self.shift = self.add_weight(shape=(shape[-1],), initializer="zeros", dtype="float32")

            def call(self, features: Any) -> Any:
                return score(features + self.shift)

        self._shift = Shift(dtype="float32")
        self._step = keras.Sequential([keras.Input(features.shape[1:]), self._shift])
        self._step.compile(
            keras.optimizers.SGD(1.0),
            loss=lambda wanted, scores: -keras.ops.sum(wanted * scores, axis=-1),
            # Tracing a graph would take longer than running the few layers after the map.
            run_eagerly=True,
        )
        self._classes = head.units

    def __call__(self, pixels: np.ndarray, label: int) -> np.ndarray:
        """Return how much each position of the feature map supports a class.

        Args:
            pixels: (S, S, 3) uint8.
            label: label of the class.

        Returns:
            (h, w) float32; 1 at the strongest position, all 0 if no position supports the class.
        """
        features = self._features(pixels[np.newaxis], training=False)
        wanted = np.eye(self._classes, dtype=np.float32)[[label]]
        self._shift.set_weights([np.zeros(features.shape[-1], np.float32)])
        self._step.train_on_batch(features, wanted)
        (gradient,) = self._shift.get_weights()
        map_ = np.maximum(self._keras.ops.convert_to_numpy(features)[0] @ gradient, 0)
        highest = map_.max()
        weights: np.ndarray = map_ / highest if highest > 0 else map_
        return weights


def _last_feature_map(keras: Any, model: Any) -> Any:
    """Return the symbolic (B, h, w, K) tensor from which pooling and the dense layers are computed.

    It is the input of the last layer that turns a map into something else. Pooling only makes a map coarser, so if
    poolings and dropouts come right before that layer, it is their input.
    """
    layers = keras.layers
    passed = (layers.MaxPooling2D, layers.AveragePooling2D, layers.Dropout, layers.SpatialDropout2D)
    found, at = None, 0
    for i in range(len(model.layers) - 1, 0, -1):
        layer = model.layers[i]
        # The inputs of a nested network belong to its own graph.
        if isinstance(layer, keras.Model) or not _is_map(layer.input):
            if found is not None:
                break
            continue
        if found is None or (layer.output is found and isinstance(layer, passed)):
            found, at = layer.input, i
        else:
            break
    if found is None or not any(_convolves(keras, layer) for layer in model.layers[:at]):
        raise NotExplainable("the network has no convolutional feature map")
    return found


def _is_map(tensor: Any) -> bool:
    shape: tuple[int, ...] = getattr(tensor, "shape", ())
    return len(shape) == 4 and shape[1] * shape[2] > 1


def _convolves(keras: Any, layer: Any) -> bool:
    kinds = (keras.layers.Conv2D, keras.layers.SeparableConv2D, keras.layers.DepthwiseConv2D)
    return isinstance(layer, kinds) or any(_convolves(keras, inner) for inner in getattr(layer, "layers", ()))
