"""Compile a network: loss, optimiser, learning-rate schedule and metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from training.config import Config


def compile_model(model: Any, config: Config, steps_per_epoch: int, measured: Sequence[Any] = ()) -> None:
    """Attach loss, optimiser, learning-rate schedule and metrics to `model`.

    Args:
        model: from `network.build`.
        config: the options, settled by `for_images`.
        steps_per_epoch: needed by the schedule.
        measured: further metrics, besides the accuracy.
    """
    from keras import optimizers

    from training.loop.image_losses import ImageLosses
    from training.loop.muon import ConvolutionMuon

    rate = schedule(config, steps_per_epoch)
    optimizers_by_name: dict[str, Callable[[], Any]] = {
        "adam": lambda: optimizers.Adam(rate),
        "adamw": lambda: optimizers.AdamW(rate, weight_decay=0.01),
        "sgd": lambda: optimizers.SGD(rate, momentum=0.9, nesterov=True),
        "muon": lambda: ConvolutionMuon(rate),
    }
    optimizer = optimizers_by_name[config.optimizer]()
    losses = [ImageLosses(config.batch_size or 1, config.label_smoothing)] if config.data_pruning else []
    _compile(model, optimizer, config, [*measured, *losses])


def schedule(config: Config, steps_per_epoch: int) -> Any:
    """Return the learning rate of each step of `config.epochs` epochs, as Keras takes it."""
    from keras.optimizers.schedules import CosineDecay

    from training.loop.schedules import OneCycle

    assert config.epochs is not None
    peak = config.peak_learning_rate
    steps = steps_per_epoch * config.epochs
    warmup = round(steps * config.warmup)
    if config.schedule == "one-cycle":
        return OneCycle(peak, steps, warmup)
    return CosineDecay(
        peak / 25 if warmup else peak,
        decay_steps=max(1, steps - warmup),
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
    )


def compile_for_evaluation(model: Any, config: Config) -> None:
    """Attach the loss and the accuracy, in parts of Keras alone, so that a stored model loads without this package."""
    _compile(model, "sgd", config, [])


def _compile(model: Any, optimizer: Any, config: Config, more: list[Any]) -> None:
    from keras import losses, metrics

    loss = losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing)
    model.compile(optimizer, loss, metrics=[metrics.CategoricalAccuracy("accuracy"), *more])
