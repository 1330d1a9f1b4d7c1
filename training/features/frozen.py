"""The features that a network with fixed weights finds in decoded images, computed once and kept beside the pixels."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator

import numpy as np

from training.data.decoded import DecodedImages
from training.features.discriminant import Reader
from training.features.extractor import Extractor
from training.progress import Bar

_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
_PIXELS_AT_ONCE = 32 * 224**2
_ROWS_AT_ONCE = 512
"""Rows that a reader gets at once, a few megabytes."""


class FrozenFeatures:
    """The features of each view of each image: of the image itself and, if wanted, of its mirror image.

    They are written into the folder of the decoded images, so they are found again by a later run, and removed with the
    pixels. If that folder can't be written, they are kept in a temporary file. Memory stays the same for any number of
    images.

    Args:
        images: the decoded images.
        extract: the network.
        mirrored: whether mirror images are wanted too.
    """

    def __init__(self, images: DecodedImages, extract: Extractor, mirrored: bool) -> None:
        self._images, self._extract = images, extract
        self.views = 2 if mirrored else 1
        count = len(images.digests)
        self._files = [
            _File(images, f"features-{extract.key}{'-mirrored' * view}", count, extract.length)
            for view in range(self.views)
        ]

    def prepare(self, rows: np.ndarray, label: str) -> None:
        """Compute what is missing of the features of `rows`, (N,) int, under a progress bar called `label`.

        Raises:
            OSError: the disk is full.
        """
        missing = [rows[~file.done[rows]] for file in self._files]
        with Bar(label, sum(map(len, missing))) as bar:
            for view, (file, wanted) in enumerate(zip(self._files, missing, strict=True)):
                at_once = max(1, min(128, _PIXELS_AT_ONCE // self._images.size**2))
                for start in range(0, len(wanted), at_once):
                    chosen = wanted[start : start + at_once]
                    pixels = self._images[chosen]
                    file.write(chosen, self._extract(pixels[:, :, ::-1] if view else pixels))
                    bar.advance(len(chosen))

    def read(self, rows: np.ndarray, view: int = 0) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the features of `rows` in order: the slice of `rows`, and (n, length) float32.

        Args:
            rows: (N,) int; `prepare` was called with them.
            view: 0 for the images, 1 for their mirror images.
        """
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = slice(start, min(start + _ROWS_AT_ONCE, len(rows)))
            yield part, self._files[view].read(rows[part])

    def reader(self, rows: np.ndarray) -> Reader:
        """Return what `discriminant.fit` reads the features of `rows` with; `prepare` was called with them."""

        def read(samples: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for view in range(self.views):
                for part, features in self.read(rows[samples], view):
                    yield samples[part], features

        return read


class _File:
    """Features by row, and which rows there are. Written instead of mapped, so that a full disk raises an error."""

    def __init__(self, images: DecodedImages, name: str, rows: int, length: int) -> None:
        self._bytes = 4 * length
        flags = os.O_RDWR | os.O_CREAT
        try:
            self._features = os.open(images.folder / f"{name}.f32", flags, 0o644)
            self._marks = os.open(images.folder / f"{name}.done", flags, 0o644)
        except OSError as error:
            if error.errno not in _NOT_WRITABLE:
                raise
            self._features, self._marks = (_temporary() for _ in range(2))
        self.done = np.zeros(rows, bool)
        """(rows,) bool, whose features are written."""
        found = np.frombuffer(os.pread(self._marks, rows, 0), np.uint8)
        self.done[: len(found)] = found == 1

    def __del__(self) -> None:
        for file in (getattr(self, name, None) for name in ("_features", "_marks")):
            if file is not None:
                os.close(file)

    def write(self, rows: np.ndarray, features: np.ndarray) -> None:
        """Write the features of `rows`, (n, length), and only then that they are there."""
        for row, values in zip(rows.tolist(), features.astype("<f4"), strict=True):
            _write(self._features, values.tobytes(), row * self._bytes)
        for row in rows.tolist():
            _write(self._marks, b"\1", row)
        self.done[rows] = True

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of `rows`, (n, length) float32."""
        found = b"".join(os.pread(self._features, self._bytes, row * self._bytes) for row in rows.tolist())
        return np.frombuffer(found, "<f4").reshape(len(rows), -1)


def _temporary() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _write(file: int, content: bytes, offset: int) -> None:
    # A nearly full disk takes a part of the bytes, and raises at the next attempt only.
    while content:
        written = os.pwrite(file, content, offset)
        content, offset = content[written:], offset + written
