"""The samples of one part of a data set: rows of decoded images, with their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from training.data.decoded import DecodedImages

_PIXELS_AT_ONCE = 128 * 128**2
"""For example 41 images of 224 x 224."""


@dataclass(frozen=True)
class Part:
    """The samples of one part: `rows` of `images` and their `labels`, both (N,) int."""

    images: DecodedImages
    rows: np.ndarray
    labels: np.ndarray
    file_sizes: np.ndarray
    """Bytes of the files, (N,) int."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, samples: np.ndarray | slice) -> np.ndarray:
        """Return the images of `samples`, (n, S, S, 3) uint8."""
        return self.images[self.rows[samples]]

    def select(self, samples: np.ndarray) -> Part:
        """Return a part of `samples` alone."""
        return Part(self.images, self.rows[samples], self.labels[samples], self.file_sizes[samples])

    @property
    def batch_size(self) -> int:
        """How many images are classified at once: fewer if they are large, to limit the memory of feature maps."""
        return max(1, min(128, _PIXELS_AT_ONCE // self.images.size**2))

    def batches(self) -> Iterator[np.ndarray]:
        """Yield all images in order, at most `batch_size` at a time."""
        size = self.batch_size
        for start in range(0, len(self), size):
            yield self[start : start + size]
