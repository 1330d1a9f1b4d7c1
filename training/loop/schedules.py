"""The one-cycle learning-rate schedule, registered with Keras, so that a checkpoint's optimiser can be loaded."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="image_classifier")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Rise linearly to `peak`, then fall linearly to zero (Smith & Topin, 2018, but with constant momentum).

    Args:
        peak: the highest rate.
        steps: number of steps of the whole run.
        warmup_steps: number of steps in which the rate rises.
    """

    def __init__(self, peak: float, steps: int, warmup_steps: int) -> None:
        self._peak, self._steps, self._warmup_steps = peak, steps, warmup_steps

    def __call__(self, step: Any) -> Any:
        """Return the rate of `step`, counted from 0."""
        step = keras.ops.cast(step, "float32")
        rising = (step + 1) / max(1, self._warmup_steps)
        falling = (self._steps - step) / max(1, self._steps - self._warmup_steps)
        return self._peak * keras.ops.clip(keras.ops.minimum(rising, falling), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"peak": self._peak, "steps": self._steps, "warmup_steps": self._warmup_steps}
