"""How many epochs of fine-tuning fit into the time of a run."""

from __future__ import annotations

from training import environment
from training.choice import candidates
from training.choice.images import Images
from training.config import Config
from training.features.extractor import Cost
from training.network import backbone

MOST = 1_500
"""Images of a comparison with a candidate whose layers are trained."""
FEWEST_EPOCHS = 4
_STEP = 8.0
"""Time of a step of training for an image, over that of a prediction as ONNX, where the last layers are trained."""
_SHARE = 0.9
"""Fraction of the budget that is planned."""


class Budget:
    """The time for comparing and training, from now.

    Args:
        config: its `budget` is read, and what decides on the number of epochs.
        images: the training and validation images.
    """

    def __init__(self, config: Config, images: Images) -> None:
        self._config = config
        self._end = environment.clock() + _SHARE * config.budget_seconds
        self._trained = len(images) - round(config.validation_fraction * len(images))

    def wanted(self, size: int) -> int:
        """Return the epochs of fine-tuning at `size` pixels that suit the number of images."""
        tuned = backbone.settle(candidates.tuned(size, self._config, None).config(self._config))
        return tuned.for_images(self._trained).epochs or 1

    def affordable(self, size: int, cost: Cost) -> int:
        """Return how many of these fit into the time that is left, with those of the comparison; 0 for too few."""
        images = self._trained + min(self._trained, MOST)
        an_epoch = _STEP * cost.milliseconds / 1000 / environment.speed() * images
        epochs = min(self.wanted(size), int((self._end - environment.clock()) / an_epoch))
        return epochs if epochs >= min(FEWEST_EPOCHS, self.wanted(size)) else 0
