"""The image policy: decode bytes or a file to (size, size, 3) uint8, the same in training and serving."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import AvifImagePlugin, Image, ImageFile, JpegImagePlugin

from imaging import heif, netpbm
from imaging.errors import CorruptImage, ImageError, ImageTooLarge, UnsupportedMediaType
from imaging.guard import is_single_pass, refuse_endless, stream
from imaging.metadata import MAX_BYTES, without_metadata
from imaging.resize import STRETCH, Resize, squared
from imaging.sniff import READS_HEIC, SUPPORTED, foreign_format, image_format

POLICY_VERSION = 2
"""Increased with every change that gives any image other pixels; stored with each model and cache."""

DEFAULT_MAX_PIXELS = 50_000_000
"""Allows a 48-megapixel phone photo, which takes 200 MB as RGBA."""

# Pillow's own limit (89 megapixels) stays on, for sizes that a decoder finds only after the header.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
# The service decodes several images at a time, each in a thread of its own.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
if READS_HEIC:
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
# Broken metadata doesn't matter.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

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
    resize: Resize = STRETCH,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> np.ndarray:
    """Decode the first frame of an image and make it a square.

    EXIF orientation is applied, transparency is laid over white, and every mode becomes 8-bit RGB. A JPEG
    much larger than `size` is decoded at a reduced scale, never below twice `size`.

    Args:
        source: the encoded image, or the path of its file.
        size: width and height of the result, in pixels.
        resize: what happens to an image that is no square: it is stretched, scaled down until all of it fits, with grey
            bars beside it (letterbox), or its middle is cut out (crop).
        max_pixels: most pixels that the header may declare; at most Pillow's own limit of 89,478,485. Four times as
            many for a baseline JPEG that is decoded at a reduced scale, of which a quarter is decoded at most.

    Returns:
        Array of shape (size, size, 3), uint8, RGB.

    Raises:
        UnsupportedMediaType: the bytes are not a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, PPM (P6), PGM (P5) or, where
            pillow-heif is installed, HEIC.
        ImageTooLarge: the image has more than `max_pixels`; raised before any pixel is decoded.
        CorruptImage: the image is truncated, undecodable, or made to keep a decoder busy for minutes.
        OSError: the file can't be read.
    """
    return decode_sizes(source, (size,), resize=resize, max_pixels=max_pixels)[0]


def decode_sizes(
    source: bytes | str | os.PathLike[str],
    sizes: Sequence[int],
    *,
    resize: Resize = STRETCH,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> list[np.ndarray]:
    """Return what `decode` returns for each of `sizes`; what is no JPEG is decoded once. Raises as `decode` does."""
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    format_ = image_format(data)
    if format_ is None:
        seen = foreign_format(data)
        but = f"the bytes are {seen}" if seen else "the bytes are no known image"
        raise UnsupportedMediaType(f"{but}; supported are {SUPPORTED}")
    try:
        if format_ == "PPM":
            image = netpbm.read(data, max_pixels)
            return [np.array(squared(image, size, resize)) for size in sizes]
        data = (
            heif.primary_image(data, format_, max_pixels)
            if format_ in ("AVIF", "HEIF")
            else without_metadata(data, format_)
        )
        refuse_endless(data, format_)
        if format_ != "JPEG":
            return _squares(data, format_, sizes, resize, max_pixels)
        return [_squares(data, format_, (size,), resize, max_pixels)[0] for size in sizes]
    except (ImageError, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageTooLarge(f"more pixels than the {max_pixels:,} allowed") from error
    except Exception as error:
        # On broken bytes Pillow's decoders raise all kinds of errors (SyntaxError, struct.error, IndexError),
        # and each means the same.
        raise CorruptImage(f"truncated or undecodable {format_} image") from error


def _squares(data: bytes, format_: str, sizes: Sequence[int], resize: Resize, max_pixels: int) -> list[np.ndarray]:
    with _opened(data, format_) as image:
        width, height = image.size
        if format_ == "JPEG":
            # At twice the target size, the resampling filter still has its full support.
            image.draft(None, (2 * sizes[0], 2 * sizes[0]))
        most = 4 * max_pixels if image.size != (width, height) and is_single_pass(data) else max_pixels
        if width * height > most:
            raise ImageTooLarge(f"{width} x {height} pixels, more than the {most:,} allowed")
        _scale_key_colour(image)
        image.load()
        return [_upright(image, squared(image, size, resize)) for size in sizes]


def _opened(data: bytes, format_: str) -> ImageFile.ImageFile:
    if format_ == "JPEG":
        # Image.open would apply Pillow's limit to the pixels before the reduction.
        return JpegImagePlugin.JpegImageFile(stream(data))
    return Image.open(stream(data), formats=(format_,))


def _upright(image: ImageFile.ImageFile, square: Image.Image) -> np.ndarray:
    # The target is square and the filter symmetric, so the small result can be turned instead of the image.
    turn = _UPRIGHT.get(_orientation(image) or 1)
    return np.array(square if turn is None else square.transpose(turn))


def _scale_key_colour(image: ImageFile.ImageFile) -> None:
    """Reduce the colour that a 16-bit PNG declares transparent to 8 bits, as Pillow does with the pixels.

    Colours that differ from it in the lower 8 bits only become transparent, too.
    """
    key = image.info.get("transparency")
    if image.mode == "RGB" and key and image.tile and image.tile[0].args == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _orientation(image: Image.Image) -> int | None:
    if len(image.info.get("exif") or b"") > MAX_BYTES:
        # It could have millions of values, each of which becomes an object.
        return None
    try:
        return image.getexif().get(_ORIENTATION_TAG)
    except Exception:
        # A broken EXIF block raises all kinds of errors, too, but the pixels are fine.
        return None
