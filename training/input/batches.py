"""The batches that Keras trains on: decoded images, augmented, in an order that follows from seed and epoch."""

from __future__ import annotations

import keras
import numpy as np

from training.data.decoded import DecodedImages
from training.data.imbalance import oversampled
from training.input.augment import Augmenter
from training.input.pruning import Pruner


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of (images (B, S, S, 3) uint8, one-hot labels (B, C) float32[, weights (B,) float32]).

    Batch i of an epoch depends on seed, epoch and i alone. So a resumed run sees the same batches as an uninterrupted
    one, in whatever order threads ask for them.

    If half of the images are mirrored, each image is mirrored in every other epoch, so that the network sees both sides
    of it as early as possible (Jordan, "94% on CIFAR-10 in 3.29 seconds", 2024).

    Args:
        images: the decoded images.
        rows: (N,) rows of `images` to use.
        labels: (N,) int labels of those rows.
        classes: number of classes.
        batch_size: images per batch; the last one may be smaller.
        seed: of order and augmentation; None keeps the rows' order.
        augmenter: applied to each image, if given.
        class_weights: (C,) weights of the classes in the loss, if given.
        oversample: repeat the images of smaller classes until all classes are equally large.
        pruner: leaves out images that the network has learned, if given.
        pruned_epochs: number of epochs, from the first, in which the pruner leaves images out.
        share: this worker's number and the number of workers; each gets an equal part of every batch.
        multiple: batches have a multiple of this many images; the epoch leaves out the remainder.
    """

    def __init__(
        self,
        images: DecodedImages,
        rows: np.ndarray,
        labels: np.ndarray,
        classes: int,
        batch_size: int,
        *,
        seed: int | None = None,
        augmenter: Augmenter | None = None,
        class_weights: np.ndarray | None = None,
        oversample: bool = False,
        pruner: Pruner | None = None,
        pruned_epochs: int = 0,
        share: tuple[int, int] = (0, 1),
        multiple: int = 1,
    ) -> None:
        super().__init__()
        self._images, self._rows, self._labels = images, rows, labels
        self._one_hot = np.eye(classes, dtype=np.float32)
        self.batch_size = batch_size
        self._seed = seed
        self._augmenter = augmenter if augmenter is not None and augmenter.active else None
        self._class_weights = class_weights
        self._oversample = oversample
        self.pruner, self._pruned_epochs = pruner, pruned_epochs
        self._share, self._multiple = share, multiple
        self._first_mirrored: np.ndarray | None = None
        # With oversampling, an image would be mirrored in all of its repetitions or in none.
        if seed is not None and self._augmenter is not None and self._augmenter.flips_evenly and not oversample:
            self._first_mirrored = np.random.default_rng([seed, 3]).random(len(rows)) < 0.5
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Choose the order of `epoch` (from 0)."""
        self._epoch = epoch
        self._weights: np.ndarray | None = None
        if self._seed is None:
            self._order = np.arange(len(self._rows))
            return
        rng = np.random.default_rng([self._seed, epoch])
        order = oversampled(self._labels, rng) if self._oversample else np.arange(len(self._rows))
        if self.pruner is not None and epoch < self._pruned_epochs:
            order, self._passes, self._weights = self.pruner.epoch(order, rng)
        else:
            order = rng.permutation(order)
            self._passes = np.zeros(len(order), int)
            if self.pruner is not None:  # all batches must have the same form for Keras
                self._weights = np.ones(len(self._rows), np.float32)
        # Each epoch leaves out different images, because its order differs.
        self._order = order[: len(order) // self._multiple * self._multiple]

    @property
    def num_batches(self) -> int:
        return -(-len(self._order) // self.batch_size)

    @property
    def images_an_epoch(self) -> int:
        return len(self._order)

    @property
    def class_shares(self) -> np.ndarray:
        """(C,) float, the fraction of this epoch's images in each class."""
        counts = np.bincount(self._labels[self._order], minlength=len(self._one_hot))
        shares: np.ndarray = counts / counts.sum()
        return shares

    def learn_losses(self, index: int, losses: np.ndarray) -> None:
        """Give the pruner the losses, (B,) float, of batch `index` of this epoch."""
        assert self.pruner is not None
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        self.pruner.losses[chosen] = losses[: len(chosen)]

    def sample(self, count: int) -> np.ndarray:
        """Return up to `count` images, evenly spread over the rows, without augmentation; the same at each call."""
        return self._images[self._rows[:: -(-len(self._rows) // count)]]

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        whole, (number, count) = len(chosen), self._share
        mine = slice(number * whole // count, (number + 1) * whole // count)
        chosen = chosen[mine]
        images = self._images[self._rows[chosen]]
        if self._augmenter is not None:
            rng = np.random.default_rng([self._seed or 0, self._epoch, index, 1])
            mirrored = None
            if self._first_mirrored is not None:
                passes = self._passes[index * self.batch_size :][mine] + self._epoch
                mirrored = self._first_mirrored[chosen] ^ (passes % 2 == 1)
            images = self._augmenter(images, rng, mine.start, whole, mirrored)
        targets = self._one_hot[self._labels[chosen]]
        weights = [] if self._class_weights is None else [targets @ self._class_weights]
        if self._weights is not None:
            weights.append(self._weights[chosen])
        return (images, targets, np.prod(weights, axis=0)) if weights else (images, targets)
