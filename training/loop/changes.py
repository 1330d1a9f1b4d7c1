"""What a run that is resumed may change of its options: where its images are, and how many epochs it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from training.config import Config, flag
from training.errors import UsageError
from training.fields import DATASETS
from training.loop import phases
from training.loop.checkpoint import Progress


def moved(config: Config, given: dict[str, str | None], run: Path) -> Config:
    """Return the options of `run` with the places of images that are `given`, by the name of the option.

    Raises:
        UsageError: the run was begun without that folder, or with a built-in data set, which has no place.
    """
    found: dict[str, Any] = {name: folder for name, folder in given.items() if folder is not None}
    for name, folder in found.items():
        before = getattr(config, name)
        if name != "images_root" and folder != before and (before is None or {before, folder} & {*DATASETS}):
            begun = f"{flag(name)} {before}" if before else f"no {flag(name)}"
            raise UsageError(f"{run} was begun with {begun}; leave out {flag(name)}")
    # The run's own --images-root belongs to the lists that it was begun with.
    return replace(config, **({"images_root": None} | found)).relocatable() if found else config


def extended(config: Config, epochs: int, progress: Progress | None, run: Path) -> Config:
    """Return the options of `run` with more epochs. The number that it has already changes nothing.

    Args:
        config: the options, settled by `for_images`.
        epochs: the new number.
        progress: that of the checkpoint; None before the first epoch.
        run: the folder, for messages.

    Raises:
        UsageError: they are fewer, the run has not ended or has no checkpoint, or early stopping ended it.
    """
    if epochs == config.epochs:
        return config
    if epochs < (config.epochs or 0):
        raise UsageError(f"--epochs {epochs}: {run} has {config.epochs} already; give more, or start a new run")
    if progress is None:
        raise UsageError(f"{run} has no checkpoint to train on from; start a new run with --epochs {epochs}")
    if not phases.ended(config, progress):
        raise UsageError(f"{run} has not ended; resume it without --epochs first")
    if progress.stopped == "early_stopping":
        raise UsageError(
            f"{run} was ended after {progress.epochs} epochs by early stopping, so that more --epochs change nothing; "
            "start a new run with a larger --patience"
        )
    if config.is_pretrained and not config.fine_tune_layers:
        raise UsageError(f"{run} has fitted the last layer alone (--fine-tune-layers 0), which takes no --epochs")
    return replace(config, epochs=epochs)
