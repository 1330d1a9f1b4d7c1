"""The phases of a training: all layers at once, or first the head and then the backbone's last layers."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

from training.config import Config
from training.data.dataset import Dataset
from training.distributed.workers import Workers
from training.loop.checkpoint import Checkpoint, Progress
from training.loop.compile import compile_model, schedule
from training.network import network, pretrained, whitening

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Phase:
    """Which layers are trained, for how long and at which rate."""

    name: str
    epochs: int
    """The maximum."""
    learning_rate: float
    """The peak rate; 0 if nothing is learned step by step."""
    layers: int | None
    """How many of the backbone's last layers are trained; None trains the whole network."""


_HEAD = Phase("head", 1, 0.0, 0)
"""The last layer is fitted to the backbone's features in one go, which counts as an epoch."""


def plan(config: Config) -> list[Phase]:
    """Return the phases of a run in order. `config` must be settled by `for_images`."""
    assert config.epochs is not None
    if not config.is_pretrained:
        return [Phase("all layers", config.epochs, config.peak_learning_rate, None)]
    if not config.fine_tune_layers:
        return [_HEAD]
    return [_HEAD, Phase("fine-tuning", config.epochs, config.fine_tune_rate, config.fine_tune_layers)]


def ended(config: Config, progress: Progress) -> bool:
    """Return whether the last phase of a run has ended."""
    phases = plan(config)
    return bool(progress.stopped) and len(progress.phases) == len(phases) and not _extended(phases, progress)


def _extended(phases: list[Phase], progress: Progress) -> bool:
    """Return whether the current phase has been given more epochs than it began with."""
    begun = progress.phases
    return bool(begun) and begun[-1]["most_epochs"] < phases[len(begun) - 1].epochs


def run(
    config: Config,
    data: Dataset,
    train: Any,
    validation: Any,
    checkpoint: Checkpoint,
    progress: Progress,
    workers: Workers = Workers(),  # noqa: B008 - it is frozen
    model: Any = None,
) -> tuple[Any, Progress]:
    """Train all phases, starting from `progress`; return the model with the best epoch's weights, and the progress.

    A last phase that has ended, but has more epochs in `config` now, trains on with the state of its optimiser. Its
    learning rate is from then on that of a phase with so many epochs.

    Args:
        config: settled by `for_images`.
        data: the images.
        train, validation: `Batches` of them.
        checkpoint: written after every epoch.
        progress: that of a new run or of the checkpoint.
        workers: the workers of this training.
        model: a network of `config` for a new run. If it was trained before, it keeps its compiled steps; the caller
            has reset its weights and its optimiser.
    """
    from training.loop import head
    from training.loop.fit import fit

    phases = plan(config)
    if progress.epochs:
        model = checkpoint.load_model(progress)
        logger.info("resuming after epoch %d", progress.epochs)
    else:
        model = model or network.build(config, len(data.class_names))
        if not config.is_pretrained:
            whitening.fit(model, train.sample(whitening.images_needed(config.image_size)))
    if _extended(phases, progress):
        phase = phases[len(progress.phases) - 1]
        model.optimizer.learning_rate = schedule(_of(phase, config), train.num_batches)
        progress.stopped, progress.phases[-1]["most_epochs"] = "", phase.epochs
    if progress.stopped:
        checkpoint.restore_best(model, progress)
    compiled = model.compiled and not progress.epochs
    for number, phase in enumerate(phases):
        if number < len(progress.phases) - 1 or (number == len(progress.phases) - 1 and progress.stopped):
            continue
        if number == len(progress.phases):
            if not compiled:
                _prepare(phase, model, config, train.num_batches)
            _begin(phase, model, progress)
            _tell(number, phases, progress, model)
        if phase is _HEAD:
            progress = head.fit(model, data, validation, config, checkpoint, progress, workers)
            continue
        ends = progress.phase_start + phase.epochs
        progress = fit(model, train, validation, replace(config, epochs=ends), checkpoint, progress, workers)
        if progress.stopped == "interrupted":
            break
    return model, progress


def _prepare(phase: Phase, model: Any, config: Config, steps: int) -> None:
    if phase.layers is not None:
        _freeze(pretrained.backbone_of(model), phase.layers)
    if phase is not _HEAD:
        compile_model(model, _of(phase, config), steps)


def _begin(phase: Phase, model: Any, progress: Progress) -> None:
    progress.stopped = ""
    progress.phases.append(
        {
            "name": phase.name,
            "start": progress.epochs,
            "most_epochs": phase.epochs,
            "learning_rate": phase.learning_rate,
            "trainable_parameters": sum(_size(variable) for variable in model.trainable_variables),
        }
    )


def _of(phase: Phase, config: Config) -> Config:
    return replace(config, epochs=phase.epochs, learning_rate=phase.learning_rate)


def _freeze(backbone: Any, layers: int) -> None:
    """Freeze `backbone` except its last `layers` with weights. Batch normalisation and whitening stay frozen."""
    from keras.layers import BatchNormalization

    backbone.trainable = True
    able = [
        layer
        for layer in pretrained.leaves(backbone)
        if layer.trainable_variables and not isinstance(layer, BatchNormalization) and layer.name != whitening.NAME
    ]
    free = set(map(id, able[-layers:] if layers else []))
    backbone.trainable = bool(free)
    for layer in pretrained.leaves(backbone):
        layer.trainable = id(layer) in free


def _size(variable: Any) -> int:
    size = 1
    for length in variable.shape:
        size *= int(length)
    return size


def _tell(number: int, phases: list[Phase], progress: Progress, model: Any) -> None:
    if len(phases) < 2:
        return
    most = phases[number].epochs
    logger.info(
        "Phase %d of %d, %s: %s of %s parameters%s",
        number + 1,
        len(phases),
        phases[number].name,
        f"{progress.phases[-1]['trainable_parameters']:,}",
        f"{model.count_params():,}",
        f", at most {most} epochs" if most > 1 else "",
    )


def report(progress: Progress) -> list[dict[str, Any]]:
    """Return what each phase did, for metrics.json."""
    starts = [phase["start"] for phase in progress.phases]
    told = []
    for phase, start, end in zip(progress.phases, starts, [*starts[1:], progress.epochs], strict=True):
        last = phase is progress.phases[-1]
        stopped = "early_stopping" if end - start < phase["most_epochs"] else "finished"
        told.append(phase | {"epochs": end - start, "stopped": progress.stopped if last else stopped})
    return told
