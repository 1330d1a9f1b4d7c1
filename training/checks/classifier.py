"""Held-out predictions for every image, by cross-validation with one small network per fold."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

import imaging
from training import environment
from training.checks.collection import Collection
from training.config import Config
from training.input.augment import Augmenter
from training.network import whitening
from training.progress import Bar

FOLDS = 3
EPOCHS = 6
_FEWEST_STEPS = 300
"""Training steps of a network, at least. Few images are trained on for more epochs."""
_VERSION = 2
_STAGES = (32, 128, 128)
_WHITENED = 3_000


def held_out(
    images: Collection,
    samples: np.ndarray,
    folds: np.ndarray,
    config: Config,
    state: Path,
    only: list[int] | None = None,
) -> np.ndarray:
    """Predict each sample with a network that is trained on the other folds.

    Args:
        images: the collection.
        samples: (n,) the samples to predict and to train on.
        folds: (n,) int, the fold in which each sample is held out.
        config: its preset, rates of augmentation and seed are used.
        state: folder for the predictions of each finished fold, from which a killed check resumes.
        only: the folds to train; the probabilities of the others are zeros.

    Returns:
        (n, C) float32 probabilities.
    """
    state.mkdir(parents=True, exist_ok=True)
    labels = images.labels[samples]
    probabilities = np.zeros((len(samples), len(images.class_names)), np.float32)
    key = _key(images, samples, folds, config)
    with Bar("Checking labels", FOLDS * 100) as bar:
        for fold in range(FOLDS) if only is None else only:
            kept = state / f"fold-{fold}-{key}.npy"
            seen, here = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            if kept.exists():
                predicted = np.load(kept)
            else:
                model = _trained(images, samples[seen], labels[seen], config, fold, bar)
                predicted = _predict(model, images, samples[here], config)
                _keep(predicted, kept)
            probabilities[here] = predicted
            bar.show((fold + 1) * 100, "")
    return probabilities


def _keep(predicted: np.ndarray, kept: Path) -> None:
    partial = kept.with_name(f"{kept.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            np.save(file, predicted)
        partial.rename(kept)
    finally:
        partial.unlink(missing_ok=True)


def _key(images: Collection, samples: np.ndarray, folds: np.ndarray, config: Config) -> str:
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr((_VERSION, imaging.POLICY_VERSION, images.size, config.seed, config.augmentation)).encode())
    for part in (images.digests[samples], images.labels[samples], folds):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _trained(images: Collection, samples: np.ndarray, labels: np.ndarray, config: Config, fold: int, bar: Bar) -> Any:
    keras = environment.import_keras()
    # Keras numbers layers per process. Without this, the model trained afterwards would get other names.
    keras.backend.clear_session()
    environment.start_keras(config.seed + fold)
    rng = np.random.default_rng([config.seed, fold])
    batch_size = int(np.clip(len(samples) // 100, 16, 256))
    steps_an_epoch = -(-len(samples) // batch_size)
    steps = max(EPOCHS * steps_an_epoch, _FEWEST_STEPS)
    some = images[rng.permutation(samples)[:_WHITENED]]
    model = _network(some, len(images.class_names))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 5, warmup_target=0.3 * batch_size / 256, warmup_steps=steps // 5
    )
    # Label smoothing keeps the network from fitting wrong labels completely.
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9, nesterov=True), loss)
    augment = Augmenter(config.augmentation, images.size)
    one_hot = np.eye(len(images.class_names), dtype=np.float32)
    order = np.empty(0, np.int64)
    for step in range(steps):
        if not len(order):
            order = rng.permutation(len(samples))
        chosen, order = order[:batch_size], order[batch_size:]
        pixels = images[samples[chosen]]
        model.train_on_batch(augment(pixels, rng) if augment.active else pixels, one_hot[labels[chosen]])
        if step % 10 == 0:
            bar.show(fold * 100 + 100 * step // steps, f"network {fold + 1} of {FOLDS}")
    return model


def _predict(model: Any, images: Collection, samples: np.ndarray, config: Config) -> np.ndarray:
    """Return the mean of the predictions for an image and, if augmentation mirrors, for its mirror image."""
    mirrored = config.augmentation["horizontal_flip"] > 0
    predicted = []
    for part in np.array_split(samples, -(-len(samples) // 256)):
        pixels = images[part]
        probabilities = model.predict_on_batch(pixels)
        if mirrored:
            probabilities = (probabilities + model.predict_on_batch(pixels[:, :, ::-1])) / 2
        predicted.append(probabilities)
    return np.concatenate(predicted).astype(np.float32)


def _network(some: np.ndarray, classes: int) -> Any:
    """Return a network that learns in a few epochs, like K. Jordan's airbench (2024) with an eighth of its width.

    Its first layer is fixed and whitens patches of 2 x 2 pixels. Images of 64 pixels or more are shrunk to 32 to 63.
    """
    from keras import Input, Model, initializers, layers, regularizers

    size = some.shape[1]
    shrink = max(1, size // 32)
    pixels = some[:, : size - size % shrink, : size - size % shrink].astype(np.float32)
    pixels = pixels.reshape(len(some), size // shrink, shrink, size // shrink, shrink, 3).mean(axis=(2, 4))
    mean, variance = pixels.mean(axis=(0, 1, 2)), np.maximum(pixels.var(axis=(0, 1, 2)), 1.0)
    filters = whitening.kernel((pixels - mean) / np.sqrt(variance), floor=5e-4)

    def convolution(x: Any, width: int) -> Any:
        penalty = regularizers.L2(2.5e-4)
        return layers.Conv2D(
            width, 3, padding="same", use_bias=False, kernel_initializer="he_normal", kernel_regularizer=penalty
        )(x)

    def activation(x: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))

    image = Input((size, size, 3), dtype="uint8")
    x = layers.Rescaling(1.0)(image)
    if shrink > 1:
        x = layers.AveragePooling2D(shrink)(x)
    x = layers.Normalization(mean=mean, variance=variance)(x)
    constant = initializers.Constant(filters)
    x = layers.ReLU()(layers.Conv2D(24, 2, use_bias=False, kernel_initializer=constant, trainable=False)(x))
    for width in _STAGES:
        x = convolution(x, width)
        if x.shape[1] > 1:
            x = layers.MaxPooling2D()(x)
        x = activation(convolution(activation(x), width))
    x = layers.GlobalMaxPooling2D()(x)
    scores = layers.Rescaling(0.125)(layers.Dense(classes, use_bias=False)(x))
    return Model(image, layers.Softmax()(scores))
