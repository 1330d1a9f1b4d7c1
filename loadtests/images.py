"""What is sent: JPEG files of a folder, or noise made in memory, each as a ready multipart body."""

from __future__ import annotations

import io
import random
from pathlib import Path

BOUNDARY = "image-classifier-load"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def bodies(folder: str | None) -> list[bytes]:
    """Return the multipart bodies of all images of a folder (at any depth), or of 16 made ones."""
    if folder is None:
        images = [_noise(seed) for seed in range(16)]
    else:
        endings = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"}
        images = [path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.suffix.lower() in endings]
    if not images:
        raise ValueError(f"{folder} holds no images")
    return [_multipart(image) for image in images]


def _multipart(image: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="image"\r\n\r\n'
    return head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()


def _noise(seed: int) -> bytes:
    """Return a 64x64 JPEG; a picture of noise is as large as any of its size gets."""
    from PIL import Image

    pixels = random.Random(seed).randbytes(64 * 64 * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (64, 64), pixels).save(buffer, "JPEG")
    return buffer.getvalue()
