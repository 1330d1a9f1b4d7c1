"""The loss of each image of the last batch, in a metric, where a callback finds it on every backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="image_classifier")
class ImageLosses(keras.metrics.Metric):  # type: ignore[misc]
    """Categorical cross-entropy of each image, without weights.

    Args:
        size: images per batch; further images of a larger batch (in validation) are ignored.
        label_smoothing: that of the training loss.
    """

    def __init__(self, size: int, label_smoothing: float, name: str = "image_losses", **settings: Any) -> None:
        super().__init__(name=name, **settings)
        self._size, self._label_smoothing = size, label_smoothing
        self.losses = self.add_variable((size,), initializer="zeros", name="losses")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Keep the losses of (B, C) probabilities."""
        losses = keras.losses.categorical_crossentropy(y_true, y_pred, label_smoothing=self._label_smoothing)
        losses = ops.cast(losses, "float32")[: self._size]
        self.losses.assign(ops.concatenate([losses, ops.zeros((self._size - ops.shape(losses)[0],))]))

    def result(self) -> Any:
        """Return the mean loss, because Keras needs one number."""
        return ops.mean(self.losses)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config: dict[str, Any] = super().get_config()
        return config | {"size": self._size, "label_smoothing": self._label_smoothing}


def latest(model: Any) -> np.ndarray:
    """Return the (size,) float32 losses of the last batch of `model`, which has the metric, padded with zeros."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()  # JAX' steps write variables back only when asked to
    (metric,) = (metric for metric in _metrics(model) if isinstance(metric, ImageLosses))
    losses: np.ndarray = ops.convert_to_numpy(metric.losses)
    return losses


def _metrics(model: Any) -> list[Any]:
    return [inner for metric in model.metrics for inner in getattr(metric, "metrics", [metric])]
