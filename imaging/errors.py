"""The reasons to refuse an image. `code` is the stable name in the API's answers and in the training report."""

from __future__ import annotations

from typing import ClassVar


class ImageError(Exception):
    """The image can't be used; the message says why in one line."""

    code: ClassVar[str]


class UnsupportedMediaType(ImageError):
    """The bytes are not a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, PPM or PGM."""

    code = "unsupported_media_type"


class CorruptImage(ImageError):
    """The format is known, but the image is truncated or can't be decoded."""

    code = "corrupt_image"


class ImageTooLarge(ImageError):
    """The header declares more pixels than allowed."""

    code = "image_too_large"
