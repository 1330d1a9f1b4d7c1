"""Recognise an image's format by its first bytes. The declared type and the file name don't matter."""

from __future__ import annotations

SIGNATURE_BYTES = 18
"""Number of leading bytes that `image_format` reads."""

# Sizes of the DIB headers in use. "BM" alone isn't enough, because plain text may begin with it, too.
_BMP_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}


def image_format(data: bytes) -> str | None:
    """Return Pillow's name of the format that `data` begins with, or None if it is no supported format."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "TIFF"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    return None
