"""Draw an explanation: a coarse map of weights, laid over the image in colours. Knows nothing of models."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

# Matplotlib's "inferno" at five values. Warmer is also brighter, so it can be read with any kind of colour vision.
_PLACES = np.linspace(0, 1, 5)
_COLOURS = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=np.float32)

_STRONGEST = 0.65
"""Share of the colour at weight 1. At weight 0 the image is unchanged."""


def enlarged(weights: np.ndarray, size: int) -> np.ndarray:
    """Return the map at the image's size.

    Args:
        weights: (h, w) float, 0 to 1.
        size: pixels per side.

    Returns:
        (size, size) float32, 0 to 1, interpolated.
    """
    image = Image.fromarray(weights.astype(np.float32))
    large: np.ndarray = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC)).clip(0, 1)
    return large


def overlay(pixels: np.ndarray, weights: np.ndarray, least: int = 0) -> np.ndarray:
    """Return the image with the map over it.

    Args:
        pixels: (S, S, 3) uint8.
        weights: (h, w) float, 0 to 1.
        least: minimum pixels per side; a smaller image is enlarged.

    Returns:
        (T, T, 3) uint8; T is the larger of S and `least`.
    """
    size = max(least, pixels.shape[0])
    under = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)
    heat = enlarged(weights, size)
    colours = np.stack([np.interp(heat, _PLACES, _COLOURS[:, channel]) for channel in range(3)], axis=-1)
    share = (_STRONGEST * heat)[..., np.newaxis]
    drawn: np.ndarray = np.rint((1 - share) * under + share * colours).astype(np.uint8)
    return drawn


def png(pixels: np.ndarray) -> bytes:
    """Return (H, W, 3) uint8 as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
