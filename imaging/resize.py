"""Make an image a square: stretch it, put bars beside it, or cut out its middle."""

from __future__ import annotations

from typing import Literal

from PIL import Image

from imaging.convert import scaled

Resize = Literal["stretch", "letterbox", "crop"]
RESIZES: tuple[Resize, ...] = ("stretch", "letterbox", "crop")
STRETCH: Resize = "stretch"

_BARS = (127, 127, 127)
"""The middle of the range, as pretrained networks are used to it: their pixels are centred on it."""


def squared(image: Image.Image, size: int, how: Resize) -> Image.Image:
    """Return `image` as RGB, (size, size), with transparency laid over white."""
    width, height = image.size
    target, box = (size, size), None
    if how == "crop" and width != height:
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        box = (left, top, left + side, top + side)  # a crop would copy up to the whole image
    elif how == "letterbox":
        longer = max(width, height)
        target = (max(1, round(size * width / longer)), max(1, round(size * height / longer)))
    small = scaled(image, target, box)
    if small.mode == "RGBA":
        white = Image.new("RGBA", small.size, "white")
        small = Image.alpha_composite(white, small).convert("RGB")
    if small.size == (size, size):
        return small
    square = Image.new("RGB", (size, size), _BARS)
    square.paste(small, ((size - small.width) // 2, (size - small.height) // 2))
    return square
