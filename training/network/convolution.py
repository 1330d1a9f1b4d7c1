"""Convolution for training. On TensorFlow it computes the gradient of a kernel as matrix products.

For a map of seven pixels a side, oneDNN fills a fifth of a row of AMX's registers; `python -m benchmarks.step` measures
the cost. Published models have Keras' own layer: see `served`.
"""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="image_classifier")
class SmallMapConvolution(keras.layers.Conv2D):  # type: ignore[misc]
    """`Conv2D` for (B, H, W, C) input, stride 1 and padding "same": the same results on every backend, but faster."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Return (B, H, W, D) for `inputs` (B, H, W, C) and a `kernel` (R, S, C, D) of odd size."""
        if keras.backend.backend() != "tensorflow":
            return super().convolution_op(inputs, kernel)
        import tensorflow as tf

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def convolved(inputs: Any, kernel: Any) -> tuple[Any, Any]:
            def gradients(outer: Any) -> tuple[Any, Any]:
                inner = tf.nn.conv2d_transpose(outer, kernel, tf.shape(inputs), strides=1)
                return inner, _kernel_gradient(inputs, outer, kernel.shape)

            return tf.nn.conv2d(inputs, kernel, strides=1, padding="SAME"), gradients

        return convolved(inputs, tf.convert_to_tensor(kernel))


def _kernel_gradient(inputs: Any, outer: Any, shape: tuple[int, int, int, int]) -> Any:
    """Return for each position of the kernel its inputs of all images times the gradient of its outputs."""
    import tensorflow as tf

    rows, columns, channels, filters = shape
    height, width = inputs.shape[1:3]
    wide = tf.pad(inputs, [[0, 0], [rows // 2, rows // 2], [columns // 2, columns // 2], [0, 0]])
    outer = tf.reshape(outer, (-1, filters))
    places = [
        tf.matmul(tf.reshape(wide[:, y : y + height, x : x + width], (-1, channels)), outer, transpose_a=True)
        for y in range(rows)
        for x in range(columns)
    ]
    return tf.reshape(tf.stack(places), shape)
