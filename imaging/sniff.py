"""Recognise an image's format by its first bytes. The declared type and the file name don't matter."""

from __future__ import annotations

from importlib.util import find_spec

SIGNATURE_BYTES = 64
"""Number of leading bytes that `image_format` reads."""

READS_HEIC = find_spec("pillow_heif") is not None
"""Whether the library that decodes HEIC is installed; it is optional (docs/image.md)."""

SUPPORTED = f"JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, {'HEIC, ' if READS_HEIC else ''}PPM and PGM"
"""The formats that `image_format` recognises, for people."""

# Sizes of the DIB headers in use. "BM" alone isn't enough, because plain text may begin with it, too.
_BMP_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}

_AFTER_P = (b" ", b"\t", b"\r", b"\n", b"#")

_TEXT = 1024
"""Number of leading bytes in which markup is looked for."""
_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_HEIF = frozenset({b"mif1", b"msf1"})
_SIGNATURES = (
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\1\0", "an icon (ICO)"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\x93NUMPY", "a NumPy array"),
    *(
        (b"P%d" % kind + after, "a PPM or PGM in another form than P5 and P6")
        for kind in (1, 2, 3, 4, 7)
        for after in _AFTER_P
    ),
)
_TEXTS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"data:image/", "a data: address; send the decoded bytes"),
    (b"ivborw0kggo", "base64; send the decoded bytes"),
    (b"/9j/", "base64; send the decoded bytes"),
    (b"{", "JSON"),
)


def image_format(data: bytes) -> str | None:
    """Return Pillow's name of the format that `data` begins with, or None if it is no supported format."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "TIFF"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    if data[:2] in (b"P5", b"P6") and data[2:3] in _AFTER_P:
        return "PPM"
    brands = _brands(data)
    if brands & _AVIF:
        return "AVIF"
    return "HEIF" if READS_HEIC and brands & _HEIC else None


def _brands(data: bytes) -> set[bytes]:
    """Return the brands, the main one and others, that a file in an MP4 container declares."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), SIGNATURE_BYTES)
    return {data[8:12], *(data[start : start + 4] for start in range(16, end, 4))}


def foreign_format(data: bytes) -> str | None:
    """Return what bytes in no supported format are, in words for their sender; None if that isn't known."""
    if not data:
        return "empty"
    if brands := _brands(data):
        if brands & _HEIC:
            return "HEIC"
        return "HEIF in another coding than AV1" if brands & _HEIF else "a video, or another file in an MP4 container"
    start = data[:_TEXT].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<svg", b"<?xml")) and b"<svg" in start:
        return "SVG"
    return next((name for signature, name in _SIGNATURES if data.startswith(signature)), None) or next(
        (name for signature, name in _TEXTS if start.startswith(signature)), None
    )
