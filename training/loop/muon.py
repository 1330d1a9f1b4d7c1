"""Muon for convolutions, on every backend. Keras' own Muon leaves convolutions out.

After Jordan et al. ("Muon: an optimizer for hidden layers in neural networks", 2024), and Jordan's CIFAR-10 records.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_SHIFTS, _OTHERS = 0.1, 0.02
"""Adam's learning rates, as fractions of the kernels' rate: for the offsets of batch normalisation, which benefit from
a high rate, and for all other weights that aren't kernels of convolutions."""


@keras.saving.register_keras_serializable(package="image_classifier")
class ConvolutionMuon(keras.optimizers.Muon):  # type: ignore[misc]
    """Muon for kernels of convolutions, Adam for all other weights.

    A kernel's momentum, as a matrix of inputs by filters, is replaced by a matrix with nearly the same directions, all
    of about the same length. Batch normalisation makes the length of a kernel meaningless, so it is held constant at
    the square root of the number of filters. Then `learning_rate` alone determines how far a step rotates the kernel.

    Args:
        learning_rate: of the kernels; a number or a schedule.
        momentum: of the kernels' gradients.
        ns_steps: number of Newton-Schulz iterations.
    """

    def __init__(self, learning_rate: Any = 0.15, momentum: float = 0.8, ns_steps: int = 3, **settings: Any) -> None:
        kept = {"weight_decay": None, "adam_weight_decay": None, "rms_rate": None}
        super().__init__(learning_rate, momentum=momentum, ns_steps=ns_steps, **settings | kept)

    def build(self, variables: list[Any]) -> None:
        """Create the state for each of `variables`."""
        super().build(variables)
        self._shifts = {self._get_variable_index(v) for v in variables if v.path.endswith("/beta")}

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update `variable` with the current `learning_rate`."""
        if self._should_use_adamw(variable):
            learning_rate *= _SHIFTS if self._get_variable_index(variable) in self._shifts else _OTHERS
        super().update_step(gradient, variable, learning_rate)

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) != 4

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign(m, m * self.momentum + gradient)
        filters = variable.shape[-1]
        direction = ops.reshape(gradient + m * self.momentum, (-1, filters))
        step = ops.reshape(self.zeropower_via_newtonschulz5(direction, self.ns_steps), variable.shape)
        length = ops.sqrt(ops.sum(ops.square(variable)))
        kept = variable * (filters**0.5 / ops.maximum(length, 1e-7))
        self.assign(variable, kept - ops.cast(lr, variable.dtype) * step)
