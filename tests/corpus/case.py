"""A body that a client may send with the exact answer it must get, and functions that build such bodies."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

import imaging  # noqa: F401  # It registers HEIC.

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "PPM"]


@dataclass(frozen=True)
class Answer:
    """A status with the predicted class (200) or the problem's code (any other)."""

    status: int
    says: str


RED, GREEN, BLUE = Answer(200, "red"), Answer(200, "green"), Answer(200, "blue")
UNSUPPORTED = Answer(415, "unsupported_media_type")
CORRUPT = Answer(422, "corrupt_image")
TOO_LARGE = Answer(413, "image_too_large")


@dataclass(frozen=True)
class Case:
    """A body for `POST /predict`, or a function that builds it, for large bodies."""

    name: str
    source: bytes | Callable[[], bytes]
    answer: Answer

    @property
    def body(self) -> bytes:
        return self.source if isinstance(self.source, bytes) else self.source()


def noisy(colour: tuple[int, int, int] = (200, 30, 30), width: int = 40, height: int = 40) -> Image.Image:
    """Return an image of one colour with some noise, so that every part of its encoding matters."""
    values = np.random.default_rng(0).integers(-30, 31, (height, width, 3)) + np.array(colour)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def segment(marker: int, body: bytes = b"") -> bytes:
    """Return a JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg_segments(data: bytes) -> tuple[list[bytes], bytes]:
    """Return a JPEG's segments before its pixels, and everything from the pixels on."""
    segments, position = [], 2
    while data[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        segments.append(data[position:end])
        position = end
    return segments, data[position:]


PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int, depth: int = 8, kind: int = 2, *methods: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, *(methods or (0, 0, 0))))


def png_of_rows(row: bytes, width: int, height: int, depth: int = 8, kind: int = 2, rows: int | None = None) -> bytes:
    """Return a PNG of equal rows with the best compression. It holds `rows` of them, by default `height`."""
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(b"\0" + row) for _ in range(height if rows is None else rows)) + packer.flush()
    return PNG_SIGNATURE + png_header(width, height, depth, kind) + chunk(b"IDAT", pixels) + chunk(b"IEND")


Entry = tuple[int, int, int, int]
"""An entry of a TIFF directory: tag, type, count, and the value or its offset."""


def directory(*entries: Entry, more: bytes = b"", following: int = 0) -> bytes:
    """Return a little-endian TIFF or EXIF block: one directory at offset 8, then `more`."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + struct.pack("<I", following) + more


def behind(entries: int) -> int:
    """Return the offset of `more` in a `directory` of this many entries."""
    return 8 + 2 + 12 * entries + 4
