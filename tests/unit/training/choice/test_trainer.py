"""A network that is trained again starts as a new one does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.folders import write_tree
from training import environment
from training.choice import candidates
from training.choice.candidates import Candidate
from training.choice.images import load_all
from training.choice.trainer import Trainer
from training.config import Config
from training.network import backbone


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate("small", {"backbone": "none", "image_size": 16, "epochs": 3}),
        candidates.tuned(64, Config(fine_tune_layers=2), 1),
    ],
    ids=["from-scratch", "fine-tuned"],
)
def test_a_second_training_is_that_of_a_new_network(candidate: Candidate, tmp_path: Path) -> None:
    data = write_tree(tmp_path / "data", {"red": 24, "green": 24})
    config = Config(data=str(data), cache_dir=str(tmp_path / "cache"), decoders=1)
    settled = backbone.settle(candidate.config(config))
    environment.start_keras(config.seed)
    images = load_all(config, [settled])
    first, second = np.arange(0, len(images), 2), np.arange(1, len(images), 2)

    def trainer() -> Trainer:
        return Trainer(settled.for_images(len(first)), images)

    twice = trainer()
    before, after = twice.predict(first, second), twice.predict(second, first)
    assert np.abs(before - 0.5).max() > 0.01
    np.testing.assert_allclose(after, trainer().predict(second, first), atol=1e-5)
