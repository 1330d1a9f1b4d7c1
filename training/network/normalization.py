"""Batch normalisation for training: on TensorFlow, the one kernel that reads its input once.

Keras' own is written in parts that each go through memory: `python -m benchmarks.step` says what that costs. What is
published has Keras' own layer: see `served`.
"""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="image_classifier")
class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """The same as its base class for (B, H, W, C) input, on every backend; faster on TensorFlow."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return `inputs` normalised, of the same shape and type."""
        if keras.backend.backend() != "tensorflow" or not training or not self.trainable:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.convert_to_tensor(self.gamma),
            tf.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel's variance is that of a sample; Keras averages that of the batch.
        count = tf.cast(tf.size(inputs) / tf.shape(inputs)[-1], variance.dtype)
        variance *= (count - 1) / count
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return outputs
