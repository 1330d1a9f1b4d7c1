"""Fit the last layer of a pretrained network to the features of the training images, without steps of training."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np

from training.config import Config
from training.data.dataset import Dataset
from training.data.part import Part
from training.data.split import folds, group_duplicates
from training.distributed.workers import Workers, undivided
from training.features import discriminant
from training.features.extractor import Extractor
from training.features.frozen import FrozenFeatures
from training.loop.checkpoint import Checkpoint, Progress
from training.loop.compile import compile_for_evaluation
from training.network import network

logger = logging.getLogger(__name__)

FOLDS = 5


def fit(
    model: Any,
    data: Dataset,
    validation: Any,
    config: Config,
    checkpoint: Checkpoint,
    progress: Progress,
    workers: Workers,
) -> Progress:
    """Fit the head of `model` as one epoch, and save it; return the progress.

    Args:
        model: from `network.build`, with a pretrained backbone.
        data: its training part is used.
        validation: `Batches`, or None.
        config: settled by `for_images`.
        checkpoint: written at the end.
        progress: that before the epoch.
        workers: the workers of this training. Each computes all features; all get the head of the first one.
    """
    started = time.perf_counter()
    part = data.parts["train"]
    with undivided():  # a network that is built for the conversion isn't spread over devices
        extract = Extractor(config)
    classifier, held_out = fitted(extract, part, data, config)
    wanted = workers.from_first([classifier.kernel, classifier.bias])
    model.get_layer(network.SCORES).set_weights(wanted)
    progress.seconds += time.perf_counter() - started
    truth = part.labels[held_out.samples]
    said = held_out.probabilities[np.arange(len(truth)), truth]
    figures = {
        "loss": float(-np.log(said.clip(1e-7)).mean()),
        "accuracy": float((held_out.probabilities.argmax(axis=1) == truth).mean()),
        "learning_rate": 0.0,
    }
    if validation is not None:
        compile_for_evaluation(model, config)
        found = model.evaluate(validation, verbose=0, return_dict=True)
        figures |= {"val_loss": float(found["loss"]), "val_accuracy": float(found["accuracy"])}
    for name, value in figures.items():
        progress.history.setdefault(name, []).append(value)
    progress.epochs += 1
    progress.images_an_epoch = len(part)
    progress.best_epoch, progress.best_loss = progress.epochs, figures.get("val_loss", figures["loss"])
    progress.stopped = "finished"
    checkpoint.save(model, progress)
    logger.info(
        "head fitted to the features of %s images in %.1f s: accuracy %.4f on images left out of the fit",
        f"{len(part):,}",
        progress.seconds,
        figures["accuracy"],
    )
    return progress


def fitted(
    extract: Extractor, part: Part, data: Dataset, config: Config
) -> tuple[discriminant.Head, discriminant.HeldOut]:
    """Return the head for what `extract` finds in the images of `part`, and its answers to left-out images.

    Copies of an image are left out together. Mirror images are fitted too if the augmentation mirrors.
    """
    features = FrozenFeatures(part.images, extract, mirrored=config.augmentation["horizontal_flip"] > 0)
    features.prepare(part.rows, "Features")
    groups = group_duplicates(part.images.digests[part.rows])
    return discriminant.fit(
        features.reader(part.rows),
        part.labels,
        folds(part.labels, groups, FOLDS, config.seed),
        len(data.class_names),
        balanced=data.balance in ("class-weights", "oversample"),
    )
