"""The loss of each image of the last batch, kept where a callback finds it on every backend: in a metric."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="image_classifier")
class ImageLosses(keras.metrics.Metric):  # type: ignore[misc]
    """Categorical cross-entropy of each image, not weighted.

    Args:
        size: images a batch; what a larger one (of validation) has beyond is passed over.
        label_smoothing: as of the loss that is trained on.
    """

    def __init__(self, size: int, label_smoothing: float, name: str = "image_losses", **settings: Any) -> None:
        super().__init__(name=name, **settings)
        self._size, self._label_smoothing = size, label_smoothing
        self.losses = self.add_variable((size,), initializer="zeros", name="losses")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take the losses of (B, C) probabilities."""
        losses = keras.losses.categorical_crossentropy(y_true, y_pred, label_smoothing=self._label_smoothing)
        losses = ops.cast(losses, "float32")[: self._size]
        self.losses.assign(ops.concatenate([losses, ops.zeros((self._size - ops.shape(losses)[0],))]))

    def result(self) -> Any:
        """Return their mean; Keras wants one number."""
        return ops.mean(self.losses)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config: dict[str, Any] = super().get_config()
        return config | {"size": self._size, "label_smoothing": self._label_smoothing}


def latest(model: Any) -> np.ndarray:
    """Return the (size,) float32 losses of the last batch of `model`, which has the metric; zeros follow."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()  # its steps keep what changes to themselves
    (metric,) = (metric for metric in _metrics(model) if isinstance(metric, ImageLosses))
    losses: np.ndarray = ops.convert_to_numpy(metric.losses)
    return losses


def _metrics(model: Any) -> list[Any]:
    return [inner for metric in model.metrics for inner in getattr(metric, "metrics", [metric])]
