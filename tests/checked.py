"""Make images in memory in the form that the data checks take, without decoding a folder."""

from __future__ import annotations

import mmap
from hashlib import blake2b
from pathlib import Path

import numpy as np
from PIL import Image

from training.checks.collection import CheckedPart, Collection
from training.data.dataset import Part
from training.data.decoded import DecodedImages
from training.data.disk import DiskSource
from training.data.folder import ImageFolder


def source(
    name: str, pixels: np.ndarray, labels: np.ndarray, class_names: list[str], files: list[str] | None = None
) -> CheckedPart:
    """Return a part of `pixels`, (N, S, S, 3) uint8, whose files need not exist."""
    memory = mmap.mmap(-1, pixels.nbytes)
    memory.write(np.ascontiguousarray(pixels).tobytes())
    count, size = pixels.shape[:2]
    digests = np.stack([np.frombuffer(blake2b(one.tobytes(), digest_size=16).digest(), np.uint8) for one in pixels])
    images = DecodedImages(Path("nowhere"), size, digests, digests, np.empty(0, np.int64), [], memory)
    names = files or [f"{class_names[label]}/{i:04}.png" for i, label in enumerate(labels.tolist())]
    folder = ImageFolder(DiskSource(Path("/nowhere") / name), class_names, names, labels.tolist(), [(1000, 0)] * count)
    part = Part(images, np.arange(count), labels, np.full(count, 1000))
    return CheckedPart(name, part, folder, "test-data" if name == "test-data" else "data")


def collection(
    pixels: np.ndarray, labels: np.ndarray, class_names: list[str], files: list[str] | None = None
) -> Collection:
    """Return a collection of one part, called "data"."""
    return Collection(class_names, [source("data", pixels, labels, class_names, files)])


def photos(count: int, size: int = 32, seed: int = 0) -> np.ndarray:
    """Return different smooth random images, (count, size, size, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((size, size), Image.Resampling.BICUBIC)) for one in coarse])
