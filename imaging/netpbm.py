"""Read PPM and PGM in their binary form. Pillow's own reader runs Python code for each pixel of most of them.

https://netpbm.sourceforge.net/doc/ppm.html
"""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

from imaging.errors import CorruptImage, ImageTooLarge

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([56])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,5})\s")


def read(data: bytes, max_pixels: int) -> Image.Image:
    """Return the first image as 8-bit RGB (PPM) or grey (PGM).

    Raises:
        ImageTooLarge: the header declares more than `max_pixels`.
        CorruptImage: the header is invalid, or pixels are missing.
    """
    header = _HEADER.match(data)
    width, height, most = (int(number) for number in header.groups()[1:]) if header else (0, 0, 0)
    if header is None or not (width and height and 0 < most < 65536):
        raise CorruptImage("the header of the PPM or PGM is invalid")
    if width * height > max_pixels:
        raise ImageTooLarge(f"{width} x {height} pixels, more than the {max_pixels:,} allowed")
    shape = (height, width, 3) if header[1] == b"6" else (height, width)
    kind = np.dtype(">u2" if most > 255 else "u1")
    size = int(np.prod(shape)) * kind.itemsize
    if len(data) - header.end() < size:
        raise CorruptImage("pixels of the PPM or PGM are missing")
    values = np.frombuffer(data, kind, size // kind.itemsize, header.end()).reshape(shape)
    if most != 255:
        steps = np.rint(np.arange(65536).clip(0, most) * (255 / most)).astype(np.uint8)
        values = steps[values]
    return Image.fromarray(values)
