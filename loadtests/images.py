"""The images to send: files of a folder, or noise made in memory."""

from __future__ import annotations

import io
import random
from pathlib import Path

_ENDINGS = {
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".avif",
    ".heic",
    ".heif",
    ".ppm",
    ".pgm",
}
_NOISE_IMAGES = 16


def images(folder: str | None) -> list[bytes]:
    """Return all image files of a folder, at any depth; without a folder, 16 images of noise.

    Raises:
        ValueError: the folder can't be read or has no image; the message is one line.
    """
    if not folder:
        return [_noise(seed) for seed in range(_NOISE_IMAGES)]
    if not Path(folder).is_dir():
        raise ValueError(f"--images {folder}: no such folder")
    try:
        files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _ENDINGS)
        found = [path.read_bytes() for path in files]
    except OSError as error:
        raise ValueError(f"--images {error.filename or folder}: {error.strerror}") from error
    if not found:
        raise ValueError(f"--images {folder}: the folder has no images ({', '.join(sorted(_ENDINGS))})")
    return found


def _noise(seed: int) -> bytes:
    """Return a 64x64 JPEG of noise, which compresses worse than any photo of that size."""
    from PIL import Image

    pixels = random.Random(seed).randbytes(64 * 64 * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (64, 64), pixels).save(buffer, "JPEG")
    return buffer.getvalue()
