"""Describe the course of a training for metrics.json: epochs, time, history, phases, options."""

from __future__ import annotations

from dataclasses import asdict

from training.config import Config
from training.loop import phases
from training.loop.checkpoint import Progress
from training.network import backbone
from training.report.choice_document import Choice
from training.report.document import Backbone, Phase, Training


def describe(config: Config, progress: Progress, balance: str, choice: Choice | None) -> Training:
    """Return the section `train` of metrics.json.

    Args:
        config: of the run.
        progress: the run's progress after training.
        balance: the treatment of unequal classes that was settled on.
        choice: how the network was chosen, if the options didn't name it.
    """
    images = progress.epochs * progress.images_an_epoch
    pretrained = backbone.describe(config)
    return Training(
        epochs=progress.epochs,
        best_epoch=progress.best_epoch,
        stopped=progress.stopped,
        seconds=progress.seconds,
        images_per_second=images / progress.seconds if progress.seconds else None,
        history=progress.history,
        backbone=Backbone(**pretrained) if pretrained else None,
        phases=[Phase(**phase) for phase in phases.report(progress)],
        config=asdict(config) | config.augmentation | {"balance": balance},
        choice=choice,
    )
