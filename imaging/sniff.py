"""Tell an image's format from its first bytes. The declared type and the file name are never asked."""

from __future__ import annotations

SIGNATURE_BYTES = 18
"""How many leading bytes `image_format` looks at."""

# Sizes of the DIB headers in use; "BM" alone is also how a lot of plain text begins.
_BMP_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}


def image_format(data: bytes) -> str | None:
    """Return Pillow's name of the format that `data` opens with, or None for anything else."""
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
