"""GIFs, BMPs, TIFFs and WebPs that are complete but invalid: sizes, offsets, directories that point at themselves."""

from __future__ import annotations

import struct

from tests.corpus.case import (
    CORRUPT,
    GREEN,
    RED,
    TOO_LARGE,
    Answer,
    Case,
    Entry,
    behind,
    directory,
    encoded,
    noisy,
)

_RED = bytes([200, 30, 30])


def _gif(width: int = 4, height: int = 4, *, frame: tuple[int, int, int, int] = (0, 0, 4, 4), bits: int = 2) -> bytes:
    """Return a GIF of 4 x 4 pixels whose header has the given values; `frame` is left, top, width, height."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x81, 0, 0) + _RED * 4
    # A clear code, sixteen zeros with a clear code after each two, so that codes don't grow, and the end.
    codes = [4] + [0, 0, 4] * 8 + [5]
    packed = sum(code << (3 * index) for index, code in enumerate(codes))
    pixels = packed.to_bytes(-(-3 * len(codes) // 8), "little")
    return screen + b"," + struct.pack("<HHHHB", *frame, 0) + bytes([bits, len(pixels)]) + pixels + b"\0;"


_GIF = _gif()
_GIFS: dict[str, tuple[bytes, Answer]] = {
    "as it should be": (_GIF, RED),
    "width 0": (_gif(width=0, frame=(0, 0, 0, 4)), CORRUPT),
    "height 0": (_gif(height=0, frame=(0, 0, 4, 0)), CORRUPT),
    "screen of 0 x 0": (_gif(0, 0), RED),
    "frame of 0 x 0": (_gif(frame=(0, 0, 0, 0)), CORRUPT),
    "screen of 65535 x 65535": (_gif(65535, 65535), TOO_LARGE),
    "frame of 65535 x 65535": (_gif(frame=(0, 0, 65535, 65535)), TOO_LARGE),
    "frame far outside the screen": (_gif(frame=(65531, 65531, 4, 4)), TOO_LARGE),
    "codes of 0 bits": (_gif(bits=0), RED),
    "codes of 13 bits": (_gif(bits=13), CORRUPT),
    "codes of 255 bits": (_gif(bits=255), CORRUPT),
    "no frame": (_GIF[:25] + b";", CORRUPT),
    "no palette": (_GIF[:10] + b"\0" + _GIF[11:13] + _GIF[25:], RED),
    "no end": (_GIF[:-1], RED),
    "comment blocks before the frame": (_GIF[:25] + b"!\xfe\x05hello\0" * 100 + _GIF[25:], RED),
    "unknown blocks before the frame": (_GIF[:25] + b"!\x77\x05hello\0" * 100 + _GIF[25:], RED),
    "junk before the frame": (_GIF[:25] + b"\0" * 100 + _GIF[25:], RED),
    "block without end": (_GIF[:25] + b"!\xfe" + b"\xff" + bytes([255]) * 300, CORRUPT),
    "marked as interlaced but not interlaced": (_GIF[:34] + b"\x40" + _GIF[35:], RED),
    "a missing palette of the frame": (_GIF[:34] + b"\x87" + _GIF[35:], CORRUPT),
}


def _bmp(
    width: int = 4,
    height: int = 4,
    *,
    header: int = 40,
    planes: int = 1,
    bits: int = 24,
    compression: int = 0,
    offset: int = 54,
    colours: int = 0,
    pixels: bytes = _RED[::-1] * 16,
) -> bytes:
    fields = struct.pack("<IiiHHIIiiII", header, width, height, planes, bits, compression, 0, 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, offset) + fields + pixels


_PALETTE = _RED[::-1] + b"\0" + bytes(4 * 255)
_BMPS: dict[str, tuple[bytes, Answer]] = {
    "as it should be": (_bmp(), RED),
    "with rows from the top": (_bmp(height=-4), RED),
    "of negative width": (_bmp(width=-4), TOO_LARGE),
    "of width 0": (_bmp(width=0), CORRUPT),
    "of height 0": (_bmp(height=0), CORRUPT),
    "of the smallest height": (_bmp(height=-(2**31)), TOO_LARGE),
    "of the smallest width": (_bmp(width=-(2**31)), TOO_LARGE),
    "of the largest size": (_bmp(2**31 - 1, 2**31 - 1), TOO_LARGE),
    "of 30,000 x 30,000": (_bmp(30_000, 30_000), TOO_LARGE),
    "with more rows in the header than in the file": (_bmp(height=5000), CORRUPT),
    "of 0 bits": (_bmp(bits=0), CORRUPT),
    "of 3 bits": (_bmp(bits=3), CORRUPT),
    "of 64 bits": (_bmp(bits=64), CORRUPT),
    "of 65535 bits": (_bmp(bits=65535), CORRUPT),
    "of 0 planes": (_bmp(planes=0), RED),
    "compressed as a JPEG": (_bmp(compression=4), CORRUPT),
    "compressed as a PNG": (_bmp(compression=5), CORRUPT),
    "with an unknown compression": (_bmp(compression=99), CORRUPT),
    "with masks that make no sense": (
        _bmp(compression=3, bits=32, offset=66, pixels=b"\xff" * 12 + bytes(64)),
        CORRUPT,
    ),
    "whose pixels are past its end": (_bmp(offset=5000), CORRUPT),
    "whose pixels are at 4 GiB": (_bmp(offset=2**32 - 1), CORRUPT),
    "whose pixels are in its header": (_bmp(offset=10), GREEN),
    "of 2 ** 31 colours": (_bmp(bits=8, colours=2**31, pixels=_PALETTE + bytes(16)), CORRUPT),
    "of 2 ** 32 - 1 colours": (_bmp(bits=8, colours=2**32 - 1, pixels=_PALETTE + bytes(16)), CORRUPT),
    "whose header is longer than the file": (_bmp(header=124), CORRUPT),
    "run-length encoded": (_bmp(bits=8, compression=1, offset=1078, pixels=_PALETTE + b"\4\0\0\0" * 4 + b"\0\1"), RED),
    "run-length encoded too short": (_bmp(bits=8, compression=1, offset=1078, pixels=_PALETTE + b"\4\0"), CORRUPT),
    "run-length encoded past its edge": (
        _bmp(bits=8, compression=1, offset=1078, pixels=_PALETTE + b"\0\2\xff\xff" * 9),
        RED,
    ),
}

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _ROWS, _COUNTS, _PREDICTOR, _TILE_WIDTH, _TILES = 273, 277, 278, 279, 317, 322, 324
_SHORT, _LONG = 3, 4


def _tiff(*changes: Entry, without: tuple[int, ...] = (), following: int = 0, more: bytes = b"") -> bytes:
    """Return a TIFF of 4 x 4 red pixels with some entries changed."""
    count = 9 + sum(change[0] not in {256, 257, 258, 259, 262, 273, 277, 278, 279} for change in changes)
    bits = behind(count - len(without))
    entries = {
        _WIDTH: (_SHORT, 1, 4),
        _HEIGHT: (_SHORT, 1, 4),
        _BITS: (_SHORT, 3, bits),
        _COMPRESSION: (_SHORT, 1, 1),
        _PHOTOMETRIC: (_SHORT, 1, 2),
        _STRIPS: (_LONG, 1, bits + 6),
        _SAMPLES: (_SHORT, 1, 3),
        _ROWS: (_SHORT, 1, 4),
        _COUNTS: (_LONG, 1, 48),
    }
    entries |= {tag: rest for tag, *rest in changes}  # type: ignore[misc]
    kept = [(tag, *entries[tag]) for tag in sorted(entries) if tag not in without]
    return directory(*kept, more=struct.pack("<HHH", 8, 8, 8) + _RED * 16 + more, following=following)


_TIFFS: dict[str, tuple[bytes, Answer]] = {
    "as it should be": (_tiff(), RED),
    "whose directory follows itself": (_tiff(following=8), RED),
    "whose next directory is nowhere": (_tiff(following=2**32 - 1), RED),
    "whose directory is past its end": (b"II*\0\xff\xff\0\0" + bytes(100), CORRUPT),
    "whose directory is at its start": (b"II*\0\0\0\0\0" + bytes(100), CORRUPT),
    "of 0 entries": (directory(), CORRUPT),
    "of 65535 entries": (_tiff()[:8] + b"\xff\xff" + _tiff()[10:], CORRUPT),
    "of width 0": (_tiff((_WIDTH, _SHORT, 1, 0)), CORRUPT),
    "of height 0": (_tiff((_HEIGHT, _SHORT, 1, 0)), CORRUPT),
    "without a width": (_tiff(without=(_WIDTH,)), CORRUPT),
    "without strips": (_tiff(without=(_STRIPS,)), CORRUPT),
    "without the lengths of its strips": (_tiff(without=(_COUNTS,)), RED),
    "of 2 ** 32 - 1 pixels per side": (_tiff((_WIDTH, _LONG, 1, 2**32 - 1), (_HEIGHT, _LONG, 1, 2**32 - 1)), TOO_LARGE),
    "of 20,000 x 20,000": (_tiff((_WIDTH, _LONG, 1, 20_000), (_HEIGHT, _LONG, 1, 20_000)), TOO_LARGE),
    "whose strip is past its end": (_tiff((_STRIPS, _LONG, 1, 10_000)), CORRUPT),
    "whose strip is at 4 GiB": (_tiff((_STRIPS, _LONG, 1, 2**32 - 1)), CORRUPT),
    "whose strip is its header": (_tiff((_STRIPS, _LONG, 1, 0)), RED),
    "with 1,000 missing strips": (_tiff((_STRIPS, _LONG, 1000, 8), (_ROWS, _SHORT, 1, 1)), CORRUPT),
    "with 2 ** 32 - 1 strips": (_tiff((_STRIPS, _LONG, 2**32 - 1, 8)), CORRUPT),
    "of 0 rows per strip": (_tiff((_ROWS, _SHORT, 1, 0)), CORRUPT),
    "with an unknown compression": (_tiff((_COMPRESSION, _SHORT, 1, 999)), CORRUPT),
    "of 255 samples": (_tiff((_SAMPLES, _SHORT, 1, 255)), CORRUPT),
    "of 0 samples": (_tiff((_SAMPLES, _SHORT, 1, 0)), CORRUPT),
    "of 65535 bits": (_tiff((_BITS, _SHORT, 1, 65535)), CORRUPT),
    "of an unknown photometry": (_tiff((_PHOTOMETRIC, _SHORT, 1, 99)), CORRUPT),
    "with missing tiles": (_tiff((_TILE_WIDTH, _SHORT, 1, 0), (_TILES, _LONG, 1, 8)), RED),
    "with an unknown predictor": (_tiff((_PREDICTOR, _SHORT, 1, 9)), RED),
    "with an unknown type": (_tiff((_WIDTH, 77, 1, 4)), CORRUPT),
    "whose size is a text": (_tiff((_WIDTH, 2, 4, 0x41414141)), CORRUPT),
    "marked with the other byte order": (b"MM\0*" + _tiff()[4:], CORRUPT),
    "that is an empty BigTIFF": (b"II+\0\x08\0\0\0" + (16).to_bytes(8, "little") + bytes(8), CORRUPT),
    **{
        f"that declares compression {number} but has none": (_tiff((_COMPRESSION, _SHORT, 1, number)), CORRUPT)
        for number in (2, 3, 4, 5, 6, 7, 8, 32946, 34676, 34712, 34925, 50000, 50001)
    },
}


_WEBP, _LOSSLESS = encoded(noisy(), "WEBP"), encoded(noisy(), "WEBP", lossless=True)


def _riff(size: int, of: bytes = _WEBP) -> bytes:
    return of[:4] + struct.pack("<I", size) + of[8:]


def _piece(size: int, of: bytes = _WEBP) -> bytes:
    return of[:16] + struct.pack("<I", size) + of[20:]


def _extended(width: int, height: int, flags: int = 0, then: bytes = _WEBP[12:]) -> bytes:
    canvas = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + then
    return b"RIFF" + struct.pack("<I", len(body)) + body


_WEBPS: dict[str, tuple[bytes, Answer]] = {
    "extended, as it should be": (_extended(40, 40), RED),
    "of RIFF size 0": (_riff(0), CORRUPT),
    "of a RIFF size too small": (_riff(100), CORRUPT),
    "of a RIFF size too large": (_riff(10**6), CORRUPT),
    "of the largest RIFF size": (_riff(2**32 - 1), CORRUPT),
    "of chunk size 0": (_piece(0), CORRUPT),
    "of a chunk size too small": (_piece(50), CORRUPT),
    "of a chunk size too large": (_piece(10**6), CORRUPT),
    "of the largest chunk size": (_piece(2**32 - 1), CORRUPT),
    "lossless, of a chunk size too small": (_piece(50, _LOSSLESS), CORRUPT),
    "of a canvas larger than its image": (_extended(41, 41), CORRUPT),
    "of the largest canvas": (_extended(2**24, 2**24), TOO_LARGE),
    "of an empty canvas": (_extended(40, 40, then=b""), CORRUPT),
    "animated, without frames": (_extended(40, 40, 2, b"ANIM" + struct.pack("<I", 6) + bytes(6)), CORRUPT),
    "that declares a missing profile and EXIF block": (_extended(40, 40, 0x28), RED),
    "of width 0": (_WEBP[:26] + b"\0\0" + _WEBP[28:], CORRUPT),
    "without a key frame": (_WEBP[:20] + bytes([_WEBP[20] | 1]) + _WEBP[21:], CORRUPT),
    "of an unknown chunk": (_WEBP[:12] + b"VP80" + _WEBP[16:], CORRUPT),
}


_PPMS = {
    "without its pixels": (b"P6 2 2 255 " + bytes(11), CORRUPT),
    "of width 0": (b"P6 0 2 255 ", CORRUPT),
    "of no values": (b"P6 2 2 0 " + bytes(12), CORRUPT),
    "of 65536 values": (b"P6 2 2 65536 " + bytes(24), CORRUPT),
    "without a header": (b"P6 photo", CORRUPT),
    "of 2 ** 57 pixels": (b"P5 999999999 999999999 255 ", TOO_LARGE),
}


def cases() -> list[Case]:
    """Return all cases."""
    families = {"GIF": _GIFS, "BMP": _BMPS, "TIFF": _TIFFS, "WebP": _WEBPS, "PPM": _PPMS}
    return [
        Case(f"{family}, {name}", body, answer)
        for family, members in families.items()
        for name, (body, answer) in members.items()
    ]
