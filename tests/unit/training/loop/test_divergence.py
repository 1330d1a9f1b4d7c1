"""A finite loss can be that of a diverged network, and a huge one that of a network that learns."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from training.config import Config
from training.distributed.workers import Workers
from training.errors import Diverged
from training.loop.checkpoint import Checkpoint, Progress
from training.loop.divergence import has_diverged

TWO, TEN, UNEQUAL = np.full(2, 0.5), np.full(10, 0.1), np.array([0.9, 0.1])
HUGE = [3e4, 1e5, 4e5, 4e5, 8e4, 9e4, 3e5]


def test_a_network_that_stays_worse_than_a_guess_has_diverged() -> None:
    """The kind: a run trains on for hours though it can't get anywhere, and may publish what it has."""
    assert has_diverged([0.7, *HUGE], [0.7] + [0.5] * 7, TWO, 20)
    assert has_diverged([14.5] * 5, [0.1] * 5, TEN, 20)  # always the same class, and sure of it
    assert has_diverged([9.0] * 15, [0.1] * 15, UNEQUAL, 60)
    assert not has_diverged([9.0] * 14, [0.1] * 14, UNEQUAL, 60)


@pytest.mark.parametrize(
    ("losses", "accuracies", "shares"),
    [
        ([8.0, 9.0, 8.5, 7.0], [0.5] * 4, TWO),  # the first epochs at a high rate
        ([8.0, 9.0, 8.5, 7.0, 2.0, 0.6], [0.5] * 5 + [0.8], TWO),  # and what follows them
        ([4e5, 2e5, 1e5, 5e4, 2e4, 1e4], [0.5] * 6, TWO),  # it recovers
        ([0.7] * 20, [0.5] * 20, TWO),  # it guesses
        ([2.4] * 20, [0.1] * 20, TEN),
        ([1.9, 3e4, 1e5, 4e5, 8e4, 2e4, 2e4, 3e4, 2e5], [0.7, 0.6, 0.5, 0.5, 0.4, 0.95, 0.95, 1.0, 0.6], TWO),
        ([31404.0] * 20, [1.0] * 20, TWO),  # the penalty on large weights, which do no harm
        ([40.0] * 20, [0.3] * 20, TEN),
        ([40.0] * 20, [0.95] * 20, UNEQUAL),
        ([], [], TWO),
    ],
)
def test_a_network_that_learns_or_may_still_learn_has_not(
    losses: list[float], accuracies: list[float], shares: np.ndarray
) -> None:
    assert not has_diverged(losses, accuracies, shares, 20)


def test_the_run_ends_in_the_line_of_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    from training.loop.fit import _Loop

    train: Any = SimpleNamespace(batch_size=4, images_an_epoch=8, start_epoch=lambda epoch: None, class_shares=TWO)
    interruption: Any = SimpleNamespace(requested=False)
    history = {"loss": [0.5, *HUGE[:4]], "accuracy": [1.0] + [0.5] * 4, "learning_rate": [10.0] * 5}
    progress = Progress(epochs=5, phases=[{"start": 1}], history=history)
    config = Config(image_size=32, learning_rate=10.0)
    loop = _Loop(train, Checkpoint(tmp_path), progress, None, interruption, config, Workers())
    loop.set_params({"epochs": 21})
    loop.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=np.float32(10))))
    loop.on_epoch_begin(5)
    with pytest.raises(
        Diverged, match=r"diverged: in epoch 6 the loss is 8e\+04, and .* guess; give a --learning-rate"
    ):
        loop.on_epoch_end(5, {"loss": 8e4, "accuracy": 0.5})
    assert list(tmp_path.iterdir()) == []
