"""Bring an image of any Pillow mode to an 8-bit square. Knows nothing of files, formats or orientation."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageCms


def to_square(image: Image.Image, size: int) -> Image.Image:
    """Stretch `image` to (size, size); RGB comes back, or RGBA where there is transparency.

    16-bit integers are divided by 257, so that a pixel's value depends on nothing but itself. 32-bit
    integers and floats carry no range of their own: 0..1 (floats), 0..255 and 0..65535 are recognised
    by the largest value, anything else is stretched from its own minimum to its maximum.
    """
    if image.mode.startswith("I;16"):
        if "transparency" in image.info:
            return _resize(_without_key_grey(image), size)
        return _to_8bit(_resize(image.convert("F"), size), 0, 65535)
    if image.mode in ("I", "F"):
        is_float = image.mode == "F"
        image = _finite(image.convert("F"))
        return _to_8bit(_resize(image, size), *_value_range(image, is_float))
    if image.mode == "La":
        # Pillow knows a way to nothing else. TIFFs may hold it: grey, multiplied by its transparency.
        image = image.convert("LA")
    if image.has_transparency_data:
        return _resize(image.convert("RGBA"), size)
    if image.mode == "LAB":
        image = _from_lab(image)
    elif image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    image = _resize(image, size)
    return image if image.mode == "RGB" else image.convert("RGB")


def _without_key_grey(image: Image.Image) -> Image.Image:
    """Return a 16-bit PNG's 8-bit form in which the grey that it declares transparent is."""
    values = np.asarray(image)
    # To the nearest of 257ths, without what floats of 50 megapixels would take.
    grey = Image.fromarray(((np.minimum(values, 65535 - 128) + 128) // 257).astype(np.uint8))
    opaque = Image.fromarray((values != image.info["transparency"]).astype(np.uint8) * np.uint8(255))
    return Image.merge("LA", (grey, opaque)).convert("RGBA")


def _resize(image: Image.Image, size: int) -> Image.Image:
    # Pillow would copy, which counts where an image is small enough to have the size already.
    return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BILINEAR)


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
    # Two divisions, since the distance of two large floats can overflow where each half does not.
    span = max(high / 2 - low / 2, np.finfo(np.float64).tiny)
    scaled = (np.asarray(image, dtype=np.float64) / 2 - low / 2) / span * 255
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8)).convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    # Pillow's own convert() has no LAB.
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")  # type: ignore[return-value]
