"""Small images that take much memory or time to decode."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from tests.corpus.case import (
    CORRUPT,
    PNG_SIGNATURE,
    RED,
    TOO_LARGE,
    Answer,
    Case,
    chunk,
    encoded,
    jpeg_segments,
    noisy,
    png_header,
    png_of_rows,
    segment,
)

_MIB = 1 << 20


def _packed(size: int) -> bytes:
    """Return `size` zeros, compressed to a thousandth."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(_MIB)) for _ in range(size // _MIB)) + packer.flush()


def _png_with(*chunks: bytes) -> bytes:
    """Return a red PNG with additional chunks before its pixels."""
    data = encoded(noisy(), "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def _text(size: int, count: int = 1) -> Callable[[], bytes]:
    return lambda: _png_with(*[chunk(b"zTXt", b"Comment\0\0" + _packed(size))] * count)


def _international(size: int, name: bytes = b"Comment") -> Callable[[], bytes]:
    return lambda: _png_with(chunk(b"iTXt", name + b"\0\1\0\0\0" + _packed(size)))


def _profile(size: int) -> Callable[[], bytes]:
    return lambda: _png_with(chunk(b"iCCP", b"sRGB\0\0" + _packed(size)))


def _jpeg_of(width: int, height: int) -> bytes:
    """Return a small JPEG whose header declares a large size."""
    segments, pixels = jpeg_segments(encoded(noisy(), "JPEG"))
    frame = segment(0xC0, struct.pack(">BHHB", 8, height, width, 3) + b"\1\x22\0\2\x11\1\3\x11\1")
    return b"\xff\xd8" + b"".join(frame if each[1] == 0xC0 else each for each in segments) + pixels


def _rows(side: int, depth: int, kind: int, rows: int | None = None) -> Callable[[], bytes]:
    bits = depth * {0: 1, 2: 3, 6: 4}[kind]
    return lambda: png_of_rows(bytes((side * bits + 7) // 8), side, side, depth, kind, rows)


_BOMBS: dict[str, tuple[bytes | Callable[[], bytes], Answer]] = {
    "PNG of 100 Mpx in 12 KB": (_rows(10_000, 1, 0), TOO_LARGE),
    "PNG of 400 Mpx": (_rows(20_000, 1, 0), TOO_LARGE),
    "PNG of 2 ** 62 pixels": (
        PNG_SIGNATURE + png_header(2**31 - 1, 2**31 - 1) + chunk(b"IDAT", _packed(_MIB)) + chunk(b"IEND"),
        TOO_LARGE,
    ),
    # These are within the limit of 50 Mpx, so they are decoded. They have about as many bytes as a photo's thumbnail.
    "PNG of 49 Mpx": (_rows(7000, 8, 2), RED),
    "PNG of 49 Mpx and 64 bits": (_rows(7000, 16, 6), RED),
    "PNG of 49 Mpx without its pixels": (_rows(7000, 8, 2, rows=0), CORRUPT),
    "JPEG of 65500 x 65500": (_jpeg_of(65500, 65500), TOO_LARGE),
    # The decoder accepts a JPEG with missing pixels if its end marker is there.
    "JPEG of 49 Mpx with the pixels of 40 x 40": (_jpeg_of(7000, 7000), RED),
    "PNG with text of 1 MiB": (_text(_MIB), RED),
    "PNG with text of 100 MiB": (_text(100 * _MIB), RED),
    "PNG with text of 64 times 1 MiB": (_text(_MIB, 64), RED),
    "PNG with international text of 100 MiB": (_international(100 * _MIB), RED),
    "PNG with XMP of 100 MiB": (_international(100 * _MIB, b"XML:com.adobe.xmp"), RED),
    "PNG with a profile of 100 MiB": (_profile(100 * _MIB), RED),
}


def cases() -> list[Case]:
    """Return all cases."""
    return [Case(name, source, answer) for name, (source, answer) in _BOMBS.items()]
