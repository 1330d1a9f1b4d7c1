"""Where a Keras model looks: Grad-CAM, on any of Keras' backends. Handed Keras and the model; imports neither.

Source: Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class NotExplainable(Exception):
    """The network has no map of features that could be shown; the message says what is missing."""


class GradCam:
    """Explains the classes of one model. Not for several threads at a time.

    Keras has no gradients of its own that every backend knows, but a training step that does. Grad-CAM weighs
    channel k of the last feature map by the gradient of the class's score, summed over the places of the map: the
    same as the gradient by a number b_k that is added to the whole channel. So b, at 0, is given one step of
    gradient descent with a rate of 1. The model itself is left as it is.

    Args:
        keras: the module.
        model: a functional `keras.Model` from (B, S, S, 3) images to (B, C) softmax of a dense layer.

    Raises:
        NotExplainable: it has no convolutions, or doesn't end like that.
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
            # Before the softmax, where one class's score isn't lowered by another's.
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
            # A graph would take longer to make than the few layers after the map take to run.
            run_eagerly=True,
        )
        self._classes = head.units

    def __call__(self, pixels: np.ndarray, label: int) -> np.ndarray:
        """Return how much each place of the feature map speaks for a class.

        Args:
            pixels: (S, S, 3) uint8.
            label: of the class.

        Returns:
            (h, w) float32 from 0 to 1, the strongest place; all 0 where nothing speaks for it.
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
    """Return the symbolic (B, h, w, K) that pooling and the dense layers are computed from.

    It is what goes into the last layer that takes a map and makes none; or, since pooling only makes it coarser,
    what went into the poolings and dropouts right before.
    """
    layers = keras.layers
    passed = (layers.MaxPooling2D, layers.AveragePooling2D, layers.Dropout, layers.SpatialDropout2D)
    found, at = None, 0
    for i in range(len(model.layers) - 1, 0, -1):
        layer = model.layers[i]
        # A network within the network has the inputs of its own graph.
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
