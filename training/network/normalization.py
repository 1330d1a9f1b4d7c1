"""Batch normalisation for training. On TensorFlow it uses the kernel that reads its input once.

Keras' own layer consists of several operations, each of which reads and writes memory; `python -m benchmarks.step`
measures the cost. Published models have Keras' own layer: see `served`.
"""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="image_classifier")
class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """`BatchNormalization` for (B, H, W, C) input: the same results on every backend, but faster on TensorFlow."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return normalised `inputs`, of the same shape and type."""
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
        # The kernel returns the sample variance; Keras averages the variance of the batch.
        count = tf.cast(tf.size(inputs) / tf.shape(inputs)[-1], variance.dtype)
        variance *= (count - 1) / count
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return outputs
