"""Data pruning: which images a pass leaves out, the weight of the others, and the constant length of an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.folders import write_tree
from training import environment
from training.config import Config
from training.data import dataset
from training.errors import UsageError
from training.input.parts import training_batches
from training.input.pruning import Pruner

keras: Any = environment.import_keras()
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras' own, of NumPy


def knowing(losses: list[float], share: float = 0.5) -> Pruner:
    pruner = Pruner(share, len(losses))
    pruner.losses[:] = losses
    return pruner


@pytest.mark.parametrize("losses", [[np.nan] * 20, [0.7] * 20], ids=["unknown", "all alike"])
def test_all_images_are_used_while_their_losses_are_equal(losses: list[float]) -> None:
    order, passes, weights = knowing(losses).epoch(np.arange(20), np.random.default_rng(0))
    assert sorted(order) == list(range(20))
    assert not passes.any()
    assert (weights == 1).all()


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
def test_the_expected_weight_of_each_image_in_a_pass_is_the_same(share: float) -> None:
    pruner = knowing([0.1] * 60 + [2.0] * 30 + [np.nan] * 10, share)
    total = np.zeros(100)
    epochs = 400
    for seed in range(epochs):
        order, passes, weights = pruner.epoch(np.arange(100), np.random.default_rng(seed))
        assert len(order) == len(passes) == 100
        assert (np.diff(passes) >= 0).all()
        assert all(len(set(order[passes == one])) == (passes == one).sum() for one in set(passes))
        np.add.at(total, order, weights[order])
    easy, hard, unknown = np.split(total / epochs, [60, 90])
    assert easy.mean() == pytest.approx(hard.mean(), rel=0.05)
    assert unknown.mean() == pytest.approx(hard.mean(), rel=0.05)
    # An epoch holds more than one pass, because passes leave images out.
    assert hard.mean() == pytest.approx(1 / (1 - 0.6 * share), rel=0.05)


def test_the_first_pass_leaves_out_no_hard_image() -> None:
    order, _, weights = knowing([0.1] * 50 + [2.0] * 50).epoch(np.arange(100), np.random.default_rng(0))
    assert set(range(50, 100)) <= set(order)
    assert set(weights[:50]) == {2}
    assert set(weights[50:]) == {1}


def test_repeated_images_of_small_classes_stay_repeated() -> None:
    order, _, _ = knowing([0.1, 2.0]).epoch(np.repeat([0, 1], [10, 90]), np.random.default_rng(0))
    assert len(order) == 100
    assert (order == 1).sum() >= 90


@pytest.fixture
def part(tmp_path: Path) -> Any:
    tree = write_tree(tmp_path / "data", {"red": 20, "blue": 20})
    config = Config(data=str(tree), image_size=8, cache_dir=str(tmp_path / "cache"))
    return dataset.load(config).parts["train"]


def test_batches_assign_each_loss_to_its_image(part: Any) -> None:
    from training.input.batches import Batches

    pruner = Pruner(0.5, len(part))
    batches = Batches(part.images, part.rows, part.labels, 2, 5, seed=0, pruner=pruner, pruned_epochs=1)
    # Each class gets its own loss, which must arrive at its images.
    for index in range(batches.num_batches):
        labels = batches[index][1].argmax(axis=1)
        batches.learn_losses(index, np.append(labels * 2.0 + 0.1, [9.0] * 3))
    assert (pruner.losses == (part.labels * 2.0 + 0.1).astype(np.float32)).all()

    batches.start_epoch(0)
    images, targets, weights = batches[0]
    assert (weights == np.where(targets.argmax(axis=1) == 0, 2, 1)).all()
    assert len(images) == 5
    batches.start_epoch(1)
    seen = [batches[index] for index in range(batches.num_batches)]
    assert sum(len(images) for images, _, _ in seen) == len(part), "the last epochs have all images"
    assert all((weights == 1).all() for _, _, weights in seen)


def test_weights_of_classes_and_of_pruning_are_multiplied(part: Any) -> None:
    from training.input.batches import Batches

    pruner = Pruner(0.5, len(part))
    pruner.losses[:] = part.labels
    shared: dict[str, Any] = {"seed": 0, "pruner": pruner, "pruned_epochs": 1}
    batches = Batches(part.images, part.rows, part.labels, 2, 5, class_weights=np.array([3.0, 5.0]), **shared)
    _, targets, weights = batches[0]
    assert (weights == np.where(targets.argmax(axis=1) == 0, 6, 5)).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_losses_of_a_batch_equal_those_of_keras(smoothing: float) -> None:
    from training.loop.image_losses import ImageLosses, latest

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="softmax")])
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=["accuracy", ImageLosses(6, smoothing)])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 3)).astype(np.float32), np.eye(4, dtype=np.float32)[rng.integers(0, 4, 6)]
    for count in (6, 4):
        logs = model.train_on_batch(x[:count], y[:count], sample_weight=np.full(count, 2.0), return_dict=True)
        found = latest(model)
        assert logs["image_losses"] == pytest.approx(found.mean(), rel=1e-5)
        each = [float(loss(y[i : i + 1], model(x[i : i + 1]))) for i in range(count)]
        assert found == pytest.approx([*each, *[0.0] * (6 - count)], rel=1e-5)
    model.evaluate(np.tile(x, (2, 1)), np.tile(y, (2, 1)), batch_size=12, verbose=0)
    assert len(latest(model)) == 6


def test_several_devices_or_a_backbone_are_refused(part: Any) -> None:
    config = Config(data="x", data_pruning=0.5, batch_size=4)
    with pytest.raises(UsageError, match="--data-pruning needs one worker with one device"):
        training_batches(part, None, config, devices=2)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="--optimizer muon is for networks without --backbone"):
        Config(data="x", backbone="resnet50", optimizer="muon")
