"""Scale an image of any Pillow mode, and convert it to 8 bits. Knows nothing of files, formats or orientation."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageCms

Box = tuple[int, int, int, int]
"""Left, top, right and bottom."""


def scaled(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Scale `image`, or what is in its `box`, to `size`, (width, height). Return RGB, or RGBA if it has transparency.

    16-bit integers are divided by 257, so that a pixel's result depends on its own value only. 32-bit
    integers and floats declare no range: 0..1 (floats), 0..255 and 0..65535 are recognised by the
    largest value; any other range is stretched from its minimum to its maximum.
    """
    if image.mode.startswith("I;16"):
        if "transparency" in image.info:
            return _resize(_without_key_grey(image), size, box)
        return _to_8bit(_resize(image.convert("F"), size, box), 0, 65535)
    if image.mode in ("I", "F"):
        is_float = image.mode == "F"
        image = _finite(image.convert("F"))
        return _to_8bit(_resize(image, size, box), *_value_range(image, is_float))
    if image.mode == "La":
        # TIFFs may have this mode, grey multiplied by its transparency. Pillow converts it to LA only.
        image = image.convert("LA")
    if image.has_transparency_data:
        return _resize(image.convert("RGBA"), size, box)
    if image.mode == "LAB":
        image = _from_lab(image)
    elif image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    image = _resize(image, size, box)
    return image if image.mode == "RGB" else image.convert("RGB")


def _without_key_grey(image: Image.Image) -> Image.Image:
    """Return a 16-bit PNG as 8-bit RGBA, in which the grey that it declares transparent is transparent."""
    values = np.asarray(image)
    # Integers round to the nearest 257th without the memory that floats of 50 megapixels would take.
    grey = Image.fromarray(((np.minimum(values, 65535 - 128) + 128) // 257).astype(np.uint8))
    opaque = Image.fromarray((values != image.info["transparency"]).astype(np.uint8) * np.uint8(255))
    return Image.merge("LA", (grey, opaque)).convert("RGBA")


def _resize(image: Image.Image, size: tuple[int, int], box: Box | None) -> Image.Image:
    # Pillow would copy an image that already has the size. For small images that copy is noticeable.
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR, box)


def _finite(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if np.isfinite(values).all():
        return image
    return Image.fromarray(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0))


def _value_range(image: Image.Image, is_float: bool) -> tuple[float, float]:
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535:
        return low, high
    if is_float and high <= 1:
        return 0, 1
    return (0, 255) if high <= 255 else (0, 65535)


def _to_8bit(image: Image.Image, low: float, high: float) -> Image.Image:
    # Each value is halved first, because the difference of two large floats can overflow.
    span = max(high / 2 - low / 2, np.finfo(np.float64).tiny)
    scaled = (np.asarray(image, dtype=np.float64) / 2 - low / 2) / span * 255
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8)).convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    # Pillow's convert() doesn't support LAB.
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")  # type: ignore[return-value]
