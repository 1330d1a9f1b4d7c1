"""Make the batches that Keras takes from the parts of the data: for training, or in order for everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.config import Config
from training.data.dataset import Dataset, Part
from training.data.imbalance import class_weights
from training.errors import UsageError
from training.input.augment import Augmenter
from training.input.pruning import Pruner

if TYPE_CHECKING:
    from training.input.batches import Batches


def training_batches(
    part: Part, data: Dataset, config: Config, *, share: tuple[int, int] = (0, 1), devices: int = 1
) -> Batches:
    """Return the batches that `fit` trains on: shuffled, augmented and balanced.

    Args:
        part: the images to train on.
        data: the data that `part` belongs to.
        config: settled by `for_images`.
        share: which worker's part of each batch, as (its number, how many workers there are).
        devices: how many devices, of all workers, divide each batch among them.

    Raises:
        UsageError: the batch size is no multiple of `devices`, or `data_pruning` is asked for on several devices.
    """
    from training.input.batches import Batches

    if (config.batch_size or 1) % devices:
        raise UsageError(f"--batch-size {config.batch_size} can't be shared by {devices} devices; use a multiple")
    if config.data_pruning and devices > 1:
        raise UsageError("--data-pruning needs one worker with one device, to know all losses; give --data-pruning 0")
    counts = np.bincount(part.labels, minlength=len(data.class_names))
    return Batches(
        part.images,
        part.rows,
        part.labels,
        len(data.class_names),
        config.batch_size or 1,
        seed=config.seed,
        augmenter=Augmenter(config.augmentation, config.image_size),
        class_weights=class_weights(counts) if data.balance == "class-weights" else None,
        oversample=data.balance == "oversample",
        pruner=Pruner(config.data_pruning, len(part)) if config.data_pruning else None,
        pruned_epochs=config.pruned_epochs,
        share=share,
        multiple=devices,
    )


def validation_batches(data: Dataset, copies: int = 1) -> Batches | None:
    """Return the validation part as `batches` does; None where its images are trained on (`refit`)."""
    return batches(data.parts["validation"], data, copies) if "validation" in data.parts else None


def batches(part: Part, data: Dataset, copies: int = 1) -> Batches:
    """Return the images of `part` unchanged and in order.

    Each image is there `copies` times: once for each device of a worker, so that every device gets all images.
    """
    from training.input.batches import Batches

    rows, labels = np.repeat(part.rows, copies), np.repeat(part.labels, copies)
    return Batches(part.images, rows, labels, len(data.class_names), part.batch_size * copies)
