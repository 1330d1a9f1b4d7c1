"""The moving average of a model's weights, kept by the optimiser; evaluated and published in place of the last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


@contextmanager
def averaged(model: Any) -> Iterator[None]:
    """Give `model` its averaged weights for a while; nothing happens where its optimiser keeps none.

    `keras.callbacks.SwapEMAWeights` exchanges the two by adding and subtracting, which loses their last bits: a
    resumed run would not be the uninterrupted one.
    """
    variables, averages = [], []
    if model.optimizer.use_ema:
        # Keras has no public name for them.
        variables, averages = model.trainable_variables, model.optimizer._model_variables_moving_average
    kept = [keras.ops.copy(variable) for variable in variables]
    try:
        for variable, average in zip(variables, averages, strict=True):
            variable.assign(average)
        yield
    finally:
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)


class EvaluateAveraged(keras.callbacks.Callback):  # type: ignore[misc]
    """Swap around each evaluation within `model.fit`."""

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._swapped = averaged(self.model)
        self._swapped.__enter__()

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        self._swapped.__exit__(None, None, None)
