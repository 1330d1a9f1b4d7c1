"""Images that would keep a decoder busy for seconds to hours, all of them within the limits on bytes and pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from PIL import Image

from tests.corpus.case import CORRUPT, RED, Answer, Case, chunk, directory, encoded, noisy, segment

_LARGEST = 20 * 2**20 - 4096
"""Size of a body in bytes: MAX_BODY_BYTES less some room for the image around it and for the multipart form."""

_JPEG, _PNG, _GIF = (encoded(noisy(), format_) for format_ in ("JPEG", "PNG", "GIF"))


def _filled(before: bytes, unit: bytes, after: bytes) -> Callable[[], bytes]:
    """Return a function that builds a body with as many repetitions of `unit` as fit."""
    return lambda: before + unit * ((_LARGEST - len(before) - len(after)) // len(unit)) + after


def _in_jpeg(unit: bytes) -> Callable[[], bytes]:
    return _filled(_JPEG[:2], unit, _JPEG[2:])


def _in_png(unit: bytes) -> Callable[[], bytes]:
    return _filled(_PNG[:33], unit, _PNG[33:])


def _in_gif(unit: bytes, before: bytes = b"", after: bytes = b"") -> Callable[[], bytes]:
    palette_end = 13 + 768
    return _filled(_GIF[:palette_end] + before, unit, after + _GIF[palette_end:])


def _scans(count: int) -> Callable[[], bytes]:
    """Return a function that builds a progressive JPEG of 49 Mpx with `count` additional scans of the whole image."""

    def build() -> bytes:
        data = encoded(Image.new("RGB", (7000, 7000), (200, 30, 30)), "JPEG", progressive=True)
        last = data[data.rfind(b"\xff\xda") : -2]
        return data[:-2] + last * count + data[-2:]

    return build


_BYTE, _SHORT, _LONG, _RATIONAL = 1, 3, 4, 5
_ONE = b"\1\0\0\0\1\0\0\0"


def _exif() -> bytes:
    """Return an EXIF block whose orientation is a list of two million fractions."""
    count = 16 * 2**20 // len(_ONE)
    return directory((0x0112, _RATIONAL, count, 26), more=_ONE * count)


def _resolutions() -> bytes:
    """Return an EXIF block whose resolution, which Pillow reads first, is a list of two million fractions."""
    count = 16 * 2**20 // len(_ONE)
    return directory((0x011A, _RATIONAL, count, 38), (0x0128, _SHORT, 1, 2), more=_ONE * count)


def _jpeg_exif(block: bytes) -> bytes:
    pieces = [segment(0xE1, b"Exif\0\0" + block[i : i + 65_000]) for i in range(0, len(block), 65_000)]
    return _JPEG[:2] + b"".join(pieces) + _JPEG[20:]


def _tiff(width: int, height: int, compression: int, *entries: tuple[int, int, int, int], more: bytes) -> bytes:
    fixed = [(256, _LONG, 1, width), (257, _LONG, 1, height), (258, _SHORT, 1, 8), (259, _SHORT, 1, compression)]
    return directory(*fixed, (262, _SHORT, 1, 1), (277, _SHORT, 1, 1), *entries, more=more)


def _pixel_tiles() -> bytes:
    """Return a TIFF of nine million tiles of one pixel, all at the same offset."""
    side = 3000
    place = 8 + 2 + 12 * 10 + 4
    tiles = [
        (322, _SHORT, 1, 1),
        (323, _SHORT, 1, 1),
        (324, _BYTE, side * side, place),
        (325, _BYTE, side * side, place),
    ]
    return _tiff(side, side, 1, *tiles, more=b"\x08" * side * side)


def _same_strips() -> bytes:
    """Return a TIFF of 60,000 strips. All are the same 19 MB, which decode to one pixel."""
    count = 60_000
    places = 8 + 2 + 12 * 9 + 4
    strip = b"\x80" * (19 * 2**20) + b"\0\x08"
    start = places + 8 * count
    strips = [(273, _LONG, count, places), (278, _SHORT, 1, 1), (279, _LONG, count, places + 4 * count)]
    lists = struct.pack("<I", start) * count + struct.pack("<I", len(strip)) * count
    return _tiff(1, count, 32773, *strips, more=lists + strip)


def _resolution_tiff() -> bytes:
    count = 16 * 2**20 // len(_ONE)
    place = 8 + 2 + 12 * 10 + 4
    strip = [(273, _LONG, 1, place), (278, _SHORT, 1, 4), (279, _LONG, 1, 16), (282, _RATIONAL, count, place)]
    return _tiff(4, 4, 1, *strip, more=_ONE * count)


def _large_tiff() -> bytes:
    """Return a BigTIFF with a million entries."""
    count = _LARGEST // 20
    return b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, count) + struct.pack("<HHQQ", 256, _SHORT, 1, 4) * count


_PROFILE = chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(2**20 - 1)))

_ENDLESS: dict[str, tuple[Callable[[], bytes], Answer]] = {
    "JPEG of 90 scans": (_scans(80), RED),
    "JPEG of 110 scans": (_scans(100), CORRUPT),
    "JPEG of 200,000 scans": (_scans(200_000), CORRUPT),
    "JPEG of comments": (_in_jpeg(segment(0xFE)), CORRUPT),
    "JPEG of EXIF blocks": (_in_jpeg(segment(0xE1, b"Exif\0\0")), CORRUPT),
    "JPEG of profiles": (_in_jpeg(segment(0xE2, b"ICC_PROFILE\0\1\1")), CORRUPT),
    "JPEG of previews": (_in_jpeg(segment(0xE2, b"MPF\0")), CORRUPT),
    "JPEG of tables": (_in_jpeg(segment(0xDB, b"\0" + b"\1" * 64)), CORRUPT),
    "JPEG of fill bytes": (_in_jpeg(b"\xff"), CORRUPT),
    "JPEG with a large EXIF block": (lambda: _jpeg_exif(_exif()), RED),
    "JPEG with millions of resolutions": (lambda: _jpeg_exif(_resolutions()), RED),
    "PNG of chunks": (_in_png(chunk(b"abCd")), CORRUPT),
    "PNG of texts": (_in_png(chunk(b"tEXt", b"k\0x")), CORRUPT),
    "PNG of profiles": (_in_png(_PROFILE), RED),
    "PNG of empty pixels": (_in_png(chunk(b"IDAT")), CORRUPT),
    "PNG of texts after its pixels": (_filled(_PNG[:-12], chunk(b"tEXt", b"k\0x"), _PNG[-12:]), CORRUPT),
    "PNG with a large EXIF block": (lambda: _PNG[:33] + chunk(b"eXIf", _exif()) + _PNG[33:], RED),
    "GIF of one comment": (_in_gif(b"\1x", b"!\xfe", b"\0"), CORRUPT),
    "GIF of comments": (_in_gif(b"!\xfe\0"), CORRUPT),
    "GIF of loops": (_in_gif(b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0"), CORRUPT),
    "GIF of nothing": (_in_gif(b"\0"), CORRUPT),
    "TIFF of tiles of one pixel": (_pixel_tiles, CORRUPT),
    "TIFF of the same strip 60,000 times": (_same_strips, CORRUPT),
    "TIFF with millions of resolutions": (_resolution_tiff, RED),
    "BigTIFF of a million entries": (_large_tiff, CORRUPT),
}


def cases() -> list[Case]:
    """Return all cases."""
    return [Case(name, build, answer) for name, (build, answer) in _ENDLESS.items()]
