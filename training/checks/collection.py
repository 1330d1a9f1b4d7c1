"""The images to check, of all parts, as one numbered list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from training.data.dataset import Part
from training.data.folder import ImageFolder
from training.data.names import as_text

_CHUNK_BYTES = 16_000_000


@dataclass(frozen=True)
class CheckedPart:
    """The images of one part. `option` names its folder: "data" or "test-data"."""

    name: str
    part: Part
    folder: ImageFolder
    option: str


@dataclass(frozen=True)
class Collection:
    """The images of all `parts`. Sample i is the i-th image, counted through the parts in order."""

    class_names: list[str]
    parts: list[CheckedPart]

    def __len__(self) -> int:
        return sum(len(one.part) for one in self.parts)

    @cached_property
    def labels(self) -> np.ndarray:
        """(N,) int, indices into `class_names`."""
        return np.concatenate([one.part.labels for one in self.parts])

    @cached_property
    def file_sizes(self) -> np.ndarray:
        """(N,) int, bytes."""
        return np.concatenate([one.part.file_sizes for one in self.parts])

    @cached_property
    def digests(self) -> np.ndarray:
        """(N, B) uint8, equal for images whose decoded pixels are equal."""
        return np.concatenate([one.part.images.digests[one.part.rows] for one in self.parts])

    @cached_property
    def part_of(self) -> np.ndarray:
        """(N,) int, indices into `parts`."""
        return np.repeat(np.arange(len(self.parts)), [len(one.part) for one in self.parts])

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *(len(one.part) for one in self.parts)])

    @property
    def size(self) -> int:
        """Width and height of every image, in pixels."""
        return self.parts[0].part.images.size

    def __getitem__(self, samples: np.ndarray) -> np.ndarray:
        """Return the images of `samples`, (n, S, S, 3) uint8."""
        images = np.empty((len(samples), self.size, self.size, 3), np.uint8)
        for i, one in enumerate(self.parts):
            here = np.flatnonzero(self.part_of[samples] == i)
            if len(here):
                images[here] = one.part[samples[here] - self._starts[i]]
        return images

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield all samples in order, in chunks of 16 MB of pixels."""
        step = max(1, _CHUNK_BYTES // (3 * self.size * self.size))
        for start in range(0, len(self), step):
            yield np.arange(start, min(start + step, len(self)))

    def option(self, sample: int) -> str:
        """Return the option that names the sample's folder: "data" or "test-data"."""
        return self.parts[int(self.part_of[sample])].option

    def file(self, sample: int) -> str:
        """Return the sample's path below its folder. Its bytes may not be UTF-8."""
        i = int(self.part_of[sample])
        one = self.parts[i]
        return one.folder.files[int(one.part.rows[sample - self._starts[i]])]

    def path(self, sample: int) -> Path | None:
        """Return where the sample's file lies on this machine; None for a file that would have to be downloaded."""
        return self.parts[int(self.part_of[sample])].folder.source.path(self.file(sample))

    def describe(self, sample: int) -> dict[str, Any]:
        """Return the report's entry for the sample."""
        return {
            "file": as_text(self.file(sample)),
            "part": self.parts[self.part_of[sample]].name,
            "class": self.class_names[self.labels[sample]],
        }
