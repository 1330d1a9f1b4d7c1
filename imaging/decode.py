"""The image policy: bytes or a path in, (size, size, 3) uint8 out, the same in training and serving."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from imaging.convert import to_square
from imaging.errors import CorruptImage, ImageError, ImageTooLarge, UnsupportedMediaType
from imaging.guard import refuse_endless, refuse_endless_exif, stream
from imaging.sniff import image_format

POLICY_VERSION = 2
"""Raised with every change that gives any image other pixels; stored with each model and cache."""

DEFAULT_MAX_PIXELS = 50_000_000
"""Lets a 48-megapixel phone photo in; its RGBA form is 200 MB."""

# Pillow's own guard (89 Mpx) stays on behind ours, for what a decoder meets past the header.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(
    source: bytes | str | os.PathLike[str],
    size: int,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> np.ndarray:
    """Decode the first frame of an image and stretch it to a square.

    EXIF orientation is applied, transparency is laid over white, every mode becomes 8-bit RGB. JPEGs
    much larger than `size` are decoded at a reduced scale, never below twice `size`.

    Args:
        source: the encoded image, or the path of a file that holds it.
        size: width and height of the result, in pixels.
        max_pixels: the most pixels the header may declare; at most Pillow's own limit of 89,478,485.

    Returns:
        Array of shape (size, size, 3), uint8, RGB.

    Raises:
        UnsupportedMediaType: the bytes are no JPEG, PNG, WebP, GIF, BMP or TIFF.
        ImageTooLarge: more than `max_pixels`, found before any pixel is decoded.
        CorruptImage: truncated, undecodable, or made to keep a decoder busy for minutes.
        OSError: a path that can't be read.
    """
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    format_ = image_format(data)
    if format_ is None:
        raise UnsupportedMediaType("the bytes are no JPEG, PNG, WebP, GIF, BMP or TIFF image")
    try:
        refuse_endless(data, format_)
        with Image.open(stream(data), formats=(format_,)) as image:
            if image.width * image.height > max_pixels:
                raise ImageTooLarge(f"{image.width} x {image.height} pixels, more than the {max_pixels:,} allowed")
            refuse_endless_exif(image.info.get("exif", b""))
            return _pixels(image, size)
    except (ImageError, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageTooLarge(f"more pixels than the {max_pixels:,} allowed") from error
    except Exception as error:
        # Pillow's decoders raise whatever they stumble over (SyntaxError, struct.error, IndexError);
        # on hostile bytes each of them means the same.
        raise CorruptImage(f"truncated or undecodable {format_} image") from error


def _pixels(image: ImageFile.ImageFile, size: int) -> np.ndarray:
    if image.format in ("JPEG", "MPO"):
        # Twice the target leaves the resampling filter its full support.
        image.draft(None, (2 * size, 2 * size))
    _scale_key_colour(image)
    image.load()
    # The target is a square and the filter symmetric, so the small result can be turned instead.
    square = to_square(image, size)
    upright = _UPRIGHT.get(_orientation(image) or 1)
    if upright is not None:
        square = square.transpose(upright)
    if square.mode == "RGBA":
        white = Image.new("RGBA", square.size, "white")
        square = Image.alpha_composite(white, square).convert("RGB")
    return np.array(square)


def _scale_key_colour(image: ImageFile.ImageFile) -> None:
    """Bring the colour that a PNG of 16 bits declares transparent to the 8 that Pillow reads its pixels with.

    What differs from it in the lower 8 bits alone becomes transparent too.
    """
    key = image.info.get("transparency")
    if image.mode == "RGB" and key and image.tile and image.tile[0].args == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(_ORIENTATION_TAG)
    except Exception:
        # A broken EXIF block can raise as variously as a broken image, but its pixels are fine.
        return None
