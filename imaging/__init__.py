"""Turn untrusted image bytes into model input with `decode`, which training and serving share.

This package owns the image policy. It knows nothing of models, HTTP or datasets.
"""

from __future__ import annotations

from imaging.decode import DEFAULT_MAX_PIXELS, POLICY_VERSION, decode, decode_sizes
from imaging.errors import CorruptImage, ImageError, ImageTooLarge, UnsupportedMediaType
from imaging.resize import RESIZES, STRETCH, Resize
from imaging.sniff import SUPPORTED

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "POLICY_VERSION",
    "RESIZES",
    "STRETCH",
    "SUPPORTED",
    "CorruptImage",
    "ImageError",
    "ImageTooLarge",
    "Resize",
    "UnsupportedMediaType",
    "decode",
    "decode_sizes",
]
