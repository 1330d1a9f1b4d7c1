"""Decoded images on disk, read through a memory map whose pages are released after every read.

So resident memory doesn't grow with the number of images. The kernel's page cache keeps reads fast.
"""

from __future__ import annotations

import json
import mmap
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data.source import Rejected

PIXELS, DIGESTS, CONTENTS, REJECTED = "pixels.u8", "digests.npy", "contents.npy", "rejected.json"
DIGEST_BYTES = 16


@dataclass(frozen=True)
class DecodedImages:
    """Row i of the map holds the image of file i of the folder; the rows in `rejected_rows` are empty."""

    folder: Path
    size: int
    digests: np.ndarray
    """Content hash of each row's pixels, (N, 16) uint8."""
    contents: np.ndarray
    """Content hash of each row's encoded file, (N, 16) uint8: the same at every image size."""
    rejected_rows: np.ndarray
    rejected: list[Rejected]
    _map: mmap.mmap

    @classmethod
    def open(cls, folder: Path, size: int) -> DecodedImages:
        """Open the entry that `decoding.decode_folder` wrote.

        Raises:
            OSError: it is missing or incomplete.
        """
        digests, contents = np.load(folder / DIGESTS), np.load(folder / CONTENTS)
        entries = json.loads((folder / REJECTED).read_text(encoding="utf-8"))
        with (folder / PIXELS).open("rb") as file:
            if os.fstat(file.fileno()).st_size != len(digests) * size * size * 3:
                raise OSError(f"{folder} is incomplete")
            pixels = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        pixels.madvise(mmap.MADV_RANDOM)
        rejected = [Rejected(entry["file"], entry["code"], entry["reason"]) for entry in entries]
        rows = np.array([entry["row"] for entry in entries], dtype=np.int64)
        return cls(folder, size, digests, contents, rows, rejected, pixels)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return the images of `rows`, (len(rows), size, size, 3) uint8, as a copy."""
        shape = (len(self.digests), self.size, self.size, 3)
        images: np.ndarray = np.ndarray(shape, np.uint8, self._map)[rows]
        # Pages of a shared map count as resident. Dropped ones are back from the page cache within microseconds.
        self._map.madvise(mmap.MADV_DONTNEED)
        return images
