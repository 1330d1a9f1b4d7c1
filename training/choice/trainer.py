"""Train one network again and again, each time from its start and on other images."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from training import environment
from training.choice.images import Images
from training.config import Config
from training.input.parts import batches, training_batches
from training.loop import phases
from training.loop.checkpoint import Progress, Unsaved
from training.network import network
from training.progress import console


class Trainer:
    """Trains one network again and again. It is built, and its steps are traced, only once.

    Args:
        config: settled by `backbone.settle` and `for_images`.
        images: those to train on and to predict.
    """

    def __init__(self, config: Config, images: Images) -> None:
        self._config, self._images = config, images
        self._model: Any = None
        self._start: list[tuple[Any, np.ndarray]] = []

    def predict(self, trained: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Train on the samples `trained`, (N,) int, and return the probabilities of `others`, (n, C) float32.

        Raises:
            TrainingError: the training failed.
        """
        config = self._config
        data, held_out = (self._images.dataset(config.image_size, samples) for samples in (trained, others))
        shuffled = training_batches(data.parts["train"], data, config)
        environment.start_keras(config.seed)
        if self._model is None:
            import keras

            # Layers are numbered for each process, and the training that follows must name its own as any other.
            keras.backend.clear_session()
            self._model = network.build(config, len(data.class_names))
            self._start = [(variable, np.array(variable.numpy())) for variable in self._model.variables]
        else:
            self._reset()
        with _silent():
            phases.run(config, data, shuffled, None, Unsaved(), Progress(), model=self._model)
            return np.asarray(self._model.predict(batches(held_out.parts["train"], held_out), verbose=0))

    def _reset(self) -> None:
        for variable, value in self._start:
            variable.assign(value)
        for variable in self._model.optimizer.variables:
            if not variable.path.endswith("learning_rate"):
                variable.assign(np.zeros(variable.shape))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep the epochs of a candidate from the console, where they would be taken for those of the run."""
    loop, quiet = logging.getLogger("training.loop"), console.quiet
    level = loop.level
    loop.setLevel(logging.ERROR)
    console.quiet = True
    try:
        yield
    finally:
        loop.setLevel(level)
        console.quiet = quiet
