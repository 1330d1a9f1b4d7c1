"""Choose what happens to images that are no squares: the way that a network with fixed weights sees most by."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

import imaging
from training import environment
from training.choice import budget, candidates, comparison
from training.choice.comparison import Folds
from training.choice.images import Images, load_all
from training.config import Config
from training.data.split import folds
from training.features.extractor import Extractor
from training.features.frozen import FrozenFeatures
from training.fields import AUTO
from training.network import backbone

logger = logging.getLogger(__name__)

_NEARLY_SQUARE = 1.25
"""Ratio of the sides up to which stretching changes too little to be worth a measurement."""
_FOLDS = 5


def choose(config: Config, size: int, ratio: float) -> Config:
    """Return `config` with `resize` settled.

    Images are stretched unless, with the frozen network, another way is right about more of the held-out images, by
    more than one standard error of the difference.

    Args:
        config: a run's options; unchanged if they name the way.
        size: pixels a side of the network's input.
        ratio: the median of the images' longer sides over their shorter ones.
    """
    if config.resize != AUTO:
        return config
    if ratio <= _NEARLY_SQUARE:
        return replace(config, resize=imaging.STRETCH)
    environment.start_keras(config.seed)
    network = backbone.settle(candidates.frozen(size).config(config))
    extract = Extractor(network)
    logger.info("choosing how images of %.1f : 1 become squares, by %s", ratio, candidates.frozen(size).name)
    loaded = _loaded(network)
    right = {how: _right(replace(network, resize=how), images, extract) for how, images in loaded.items()}
    for how, answers in right.items():
        logger.info("  %-44s accuracy %5.1f%%", how, 100 * answers.mean())
    best = max(right, key=lambda how: float(right[how].mean()))
    gain = right[best] - right[imaging.STRETCH]
    chosen = best if gain.mean() > gain.std() / np.sqrt(len(gain)) else imaging.STRETCH
    logger.info("chosen: --resize %s", chosen)
    return replace(config, resize=chosen)


def _loaded(settled: Config) -> dict[imaging.Resize, Images]:
    """Return the images, made square in each way; an image that is one of them in one way only is left out."""
    found = {how: load_all(one := replace(settled, resize=how), [one]) for how in imaging.RESIZES}
    stretched = found[imaging.STRETCH]
    shared = np.logical_and.reduce([np.isin(stretched.rows, images.rows) for images in found.values()])
    kept = stretched.rows[shared], stretched.labels[shared], stretched.groups[shared]
    return {how: Images(images.by_size, *kept) for how, images in found.items()}


def _right(settled: Config, images: Images, extract: Extractor) -> np.ndarray:
    """Return which held-out images a head is right about, (n,) float."""
    chosen = images.sample(budget.MOST, settled.seed)
    number = folds(images.labels[chosen], images.groups[chosen], _FOLDS, settled.seed)
    pairs = Folds([(chosen[number != fold], chosen[number == fold]) for fold in range(_FOLDS)])
    part = images.dataset(settled.image_size, np.arange(len(images))).parts["train"]
    features = FrozenFeatures(part.images, extract, mirrored=settled.augmentation["horizontal_flip"] > 0)
    features.prepare(part.rows[chosen], f"Features, {settled.resize}")
    answers = comparison.run_frozen(features, images, part, pairs, settled).probabilities.argmax(axis=1)
    right: np.ndarray = (answers == images.labels[pairs.held_out]).astype(float)
    return right
