"""Make a picture that shows its orientation, in any format."""

from __future__ import annotations

import io

from PIL import Image

import imaging  # noqa: F401  # It registers HEIC.

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "PPM"]


def picture(width: int = 24, height: int = 16) -> Image.Image:
    """Return a picture of four quadrants in different colours, so that no two orientations look alike."""
    image = Image.new("RGB", (width, height), (200, 40, 40))
    image.paste((40, 200, 40), (width // 2, 0, width, height // 2))
    image.paste((40, 40, 200), (0, height // 2, width // 2, height))
    image.paste((220, 220, 60), (width // 2, height // 2, width, height))
    return image


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()
