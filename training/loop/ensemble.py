"""What an ensemble is trained by: the loss of each of its networks, and how often they are right together."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def crossentropy(y_true: Any, y_pred: Any, label_smoothing: float) -> Any:
    """Return the categorical cross-entropy of each image, (B,), the mean of its networks'.

    Args:
        y_true: (B, C).
        y_pred: (B, C) probabilities of one network, or (B, M, C) of M.
        label_smoothing: of `y_true`.
    """
    if len(y_pred.shape) == 2:
        return keras.losses.categorical_crossentropy(y_true, y_pred, label_smoothing=label_smoothing)
    y_true = ops.repeat(y_true[:, None], y_pred.shape[1], axis=1)
    return ops.mean(keras.losses.categorical_crossentropy(y_true, y_pred, label_smoothing=label_smoothing), axis=-1)


@keras.saving.register_keras_serializable(package="image_classifier")
class MeanCrossentropy(keras.losses.Loss):  # type: ignore[misc]
    """The mean of the networks' losses, with the gradient of their sum: each learns as it would alone.

    One loss of the joint answer would make them alike.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "mean_crossentropy", **settings: Any) -> None:
        super().__init__(name=name, **settings)
        self._label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the losses, (B,), of (B, M, C) probabilities."""
        losses, networks = crossentropy(y_true, y_pred, self._label_smoothing), y_pred.shape[1]
        return losses * networks - ops.stop_gradient(losses * (networks - 1))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config: dict[str, Any] = super().get_config()
        return config | {"label_smoothing": self._label_smoothing}


@keras.saving.register_keras_serializable(package="image_classifier")
class JointAccuracy(keras.metrics.CategoricalAccuracy):  # type: ignore[misc]
    """How often the mean of the networks' scores is highest for the right class."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take (B, M, C) probabilities."""
        scores = ops.mean(ops.log(ops.maximum(y_pred, 1e-30)), axis=1)
        super().update_state(y_true, scores, sample_weight)
