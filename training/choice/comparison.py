"""Train candidates on the same images and compare them on others, the cheap ones first, within a time."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training import environment
from training.choice.candidates import Candidate
from training.choice.images import Images
from training.choice.trainer import Trainer
from training.config import Config
from training.data.part import Part
from training.data.split import folds
from training.features import discriminant
from training.features.frozen import FrozenFeatures
from training.loop.head import FOLDS
from training.network import backbone


@dataclass(frozen=True)
class Result:
    """The answers of a candidate to the held-out images, fold after fold, and the time of its training."""

    probabilities: np.ndarray
    """(n, C) float32."""
    seconds: float


@dataclass(frozen=True)
class Folds:
    """What candidates are trained on and compared on: pairs of samples, (N,) int each."""

    pairs: list[tuple[np.ndarray, np.ndarray]]

    @property
    def held_out(self) -> np.ndarray:
        """All samples to compare on."""
        return np.concatenate([held_out for _, held_out in self.pairs])

    @property
    def trained_on(self) -> int:
        """How many images a candidate is trained on at a time."""
        return max(len(trained) for trained, _ in self.pairs)


def run(candidate: Candidate, images: Images, folds: Folds, config: Config, state: Path) -> Result:
    """Train `candidate` on each fold's images and predict the others. What is in `state` already is not repeated.

    Raises:
        TrainingError: the training failed.
    """
    settled = backbone.settle(candidate.config(config))
    kept = state / f"{_key(candidate, images, folds, config)}.npz"
    with contextlib.suppress(OSError, ValueError, KeyError), np.load(kept) as found:
        return Result(found["probabilities"], float(found["seconds"]))
    started = environment.clock()
    trainer = Trainer(settled.for_images(folds.trained_on), images)
    found = [trainer.predict(trained, held_out) for trained, held_out in folds.pairs]
    result = Result(np.concatenate(found), environment.clock() - started)
    state.mkdir(parents=True, exist_ok=True)
    partial = state / f"{os.getpid()}.new.npz"
    np.savez(partial, probabilities=result.probabilities, seconds=result.seconds)
    partial.replace(kept)
    return result


def run_frozen(features: FrozenFeatures, images: Images, part: Part, folds_: Folds, config: Config) -> Result:
    """Fit a head to the features of each fold's images and predict the others.

    Args:
        features: of the images of `part`.
        images: the images of the comparison.
        part: all of them, at one size.
        folds_: what is fitted and predicted.
        config: `balance` and `seed` are read.
    """
    started = environment.clock()
    found = []
    for trained, held_out in folds_.pairs:
        head, _ = discriminant.fit(
            features.reader(part.rows[trained]),
            images.labels[trained],
            folds(images.labels[trained], images.groups[trained], FOLDS, config.seed),
            images.classes,
        )
        found += [head(values) for _, values in features.read(part.rows[held_out])]
    return Result(np.concatenate(found), environment.clock() - started)


def _key(candidate: Candidate, images: Images, folds: Folds, config: Config) -> str:
    digest = hashlib.blake2b(digest_size=8)
    known = replace(
        candidate.config(config), out=None, cache_dir=None, name="image_classifier", data="", test_data=None
    )
    digest.update(repr(known).encode())
    for array in (images.rows, images.labels, *(array for pair in folds.pairs for array in pair)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
