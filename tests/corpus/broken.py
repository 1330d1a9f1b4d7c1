"""JPEGs and PNGs that are complete but invalid: tables, sizes, checksums, order."""

from __future__ import annotations

import struct
import zlib

from tests.corpus.case import (
    CORRUPT,
    PNG_SIGNATURE,
    RED,
    Answer,
    Case,
    chunk,
    encoded,
    jpeg_segments,
    noisy,
    png_header,
    segment,
)

_SEGMENTS, _PIXELS = jpeg_segments(encoded(noisy(), "JPEG", quality=90))
_FRAME, _HUFFMAN, _QUANTISATION = 0xC0, 0xC4, 0xDB


def _jpeg(marker: int, *bodies: bytes | None, pixels: bytes = _PIXELS) -> bytes:
    """Return the JPEG with its segments of one kind replaced by `bodies`, in order.

    None keeps a segment; segments beyond the last body are removed.
    """
    new = list(bodies)
    out = [b"\xff\xd8"]
    for each in _SEGMENTS:
        body: bytes | None = each
        if each[1] == marker:
            body = new.pop(0) if new else b""
        out.append(each if body is None else body)
    return b"".join(out) + pixels


def _frame(
    width: int = 40,
    height: int = 40,
    sampling: tuple[int, ...] = (0x22, 0x11, 0x11),
    precision: int = 8,
    marker: int = _FRAME,
    tables: tuple[int, ...] = (0, 1, 1),
    components: int | None = None,
) -> bytes:
    count = len(sampling) if components is None else components
    parts = b"".join(bytes([i + 1, sampling[i], tables[i % 3]]) for i in range(len(sampling)))
    return segment(marker, struct.pack(">BHHB", precision, height, width, count) + parts)


def _huffman(counts: list[int], table: int = 0) -> bytes:
    return segment(_HUFFMAN, bytes([table, *counts, *range(min(sum(counts), 255))]))


def _quantisation(table: int, value: int, length: int = 64) -> bytes:
    return segment(_QUANTISATION, bytes([table]) + bytes([value]) * length)


# Decoders accept a fault if some picture can still be decoded; missing parts become grey or black.
_JPEGS: dict[str, tuple[bytes, Answer]] = {
    "Huffman table with too many codes": (_jpeg(_HUFFMAN, _huffman([255] * 16)), CORRUPT),
    "Huffman table with impossible codes": (_jpeg(_HUFFMAN, _huffman([3] + [0] * 15), None, None, None), CORRUPT),
    "truncated Huffman table": (_jpeg(_HUFFMAN, segment(_HUFFMAN, b"\0\1\2"), None, None, None), CORRUPT),
    "invalid Huffman table number": (
        _jpeg(_HUFFMAN, _huffman([0, 1] + [0] * 14, 0x4F), None, None, None),
        CORRUPT,
    ),
    "empty Huffman tables": (_jpeg(_HUFFMAN, *[_huffman([0] * 16, t) for t in (0, 16, 1, 17)]), RED),
    "no quantisation table": (_jpeg(_QUANTISATION), CORRUPT),
    "one quantisation table of two": (_jpeg(_QUANTISATION, None), CORRUPT),
    "truncated quantisation table": (_jpeg(_QUANTISATION, _quantisation(0, 1, 20), None), CORRUPT),
    "quantisation table with an invalid number": (_jpeg(_QUANTISATION, _quantisation(9, 1), None), CORRUPT),
    "frame of width 0": (_jpeg(_FRAME, _frame(width=0)), CORRUPT),
    "frame of height 0": (_jpeg(_FRAME, _frame(height=0)), CORRUPT),
    "frame of size 0 x 0": (_jpeg(_FRAME, _frame(width=0, height=0)), CORRUPT),
    "no frame": (_jpeg(_FRAME), CORRUPT),
    "two frames": (_jpeg(_FRAME, _frame() + _frame()), CORRUPT),
    "frame of 12 bits": (_jpeg(_FRAME, _frame(precision=12)), CORRUPT),
    "frame of 0 bits": (_jpeg(_FRAME, _frame(precision=0)), CORRUPT),
    "frame of two components": (_jpeg(_FRAME, _frame(sampling=(0x11, 0x11))), CORRUPT),
    "frame of 255 components": (_jpeg(_FRAME, _frame(components=255)), CORRUPT),
    "frame of 0 components": (_jpeg(_FRAME, _frame(sampling=())), CORRUPT),
    "frame with a sampling factor of 0": (_jpeg(_FRAME, _frame(sampling=(0x00, 0x11, 0x11))), CORRUPT),
    "frame with a sampling factor of 15": (_jpeg(_FRAME, _frame(sampling=(0xFF, 0x11, 0x11))), CORRUPT),
    "frame with a missing table": (_jpeg(_FRAME, _frame(tables=(3, 3, 3))), CORRUPT),
    "lossless frame": (_jpeg(_FRAME, _frame(marker=0xC3)), CORRUPT),
    "arithmetic frame": (_jpeg(_FRAME, _frame(marker=0xC9)), RED),
    "hierarchical frame": (_jpeg(_FRAME, _frame(marker=0xC5)), CORRUPT),
    "scan of other components": (
        _jpeg(0, pixels=_PIXELS.replace(b"\3\1\0\2\x11\3\x11", b"\3\5\0\6\x11\7\x11")),
        CORRUPT,
    ),
    "scan of 0 components": (_jpeg(0, pixels=segment(0xDA, b"\0\0\x3f\0") + _PIXELS[14:]), CORRUPT),
    "scan with missing tables": (
        _jpeg(0, pixels=_PIXELS.replace(b"\3\1\0\2\x11\3\x11", b"\3\1\x33\2\x33\3\x33")),
        CORRUPT,
    ),
    "no scan": (_jpeg(0, pixels=b"\xff\xd9"), CORRUPT),
    "segment longer than the file": (_jpeg(0, pixels=b"\xff\xe5\xff\xff" + _PIXELS), CORRUPT),
    "segment of length 0": (_jpeg(0, pixels=b"\xff\xe5\0\0" + _PIXELS), RED),
    "no end": (_jpeg(0, pixels=_PIXELS[:-2]), CORRUPT),
    "converted line ends": (_jpeg(0).replace(b"\n", b"\r\n"), RED),
    "fill bytes before a marker": (_jpeg(0xE0, b"\xff\xff\xff" + _SEGMENTS[0]), RED),
    "no application segment": (_jpeg(0xE0), RED),
    "bytes between segments": (_jpeg(0xE0, _SEGMENTS[0] + b"\0junk"), RED),
    "unannounced restart markers": (_jpeg(0, pixels=_PIXELS[:100] + b"\xff\xd3" + _PIXELS[100:]), RED),
}


def _png(*chunks: bytes) -> bytes:
    return PNG_SIGNATURE + b"".join(chunks)


def _bad(piece: bytes) -> bytes:
    return piece[:-1] + bytes([piece[-1] ^ 1])


_HEAD, _END = png_header(8, 8), chunk(b"IEND")
_ROWS = (b"\0" + b"\xc8\x1e\x1e" * 8) * 8
_DATA = chunk(b"IDAT", zlib.compress(_ROWS))
_GREY_ROWS = chunk(b"IDAT", zlib.compress(bytes(9 * 8)))
_TEXT = chunk(b"tEXt", b"Comment\0hello")


def _announcing(length: int) -> bytes:
    return struct.pack(">I", length) + b"IDAT" + zlib.compress(_ROWS)


_PNGS: dict[str, tuple[bytes, Answer]] = {
    "wrong checksum of the header": (_png(_bad(_HEAD), _DATA, _END), CORRUPT),
    "wrong checksum of the pixels": (_png(_HEAD, _bad(_DATA), _END), RED),
    "wrong checksum of the text": (_png(_HEAD, _bad(_TEXT), _DATA, _END), RED),
    "wrong checksum of the zlib stream": (_png(_HEAD, chunk(b"IDAT", _bad(zlib.compress(_ROWS))), _END), CORRUPT),
    "wrong checksum of the end": (_png(_HEAD, _DATA, _bad(_END)), RED),
    "width 0": (_png(png_header(0, 8), _DATA, _END), CORRUPT),
    "height 0": (_png(png_header(8, 0), _DATA, _END), CORRUPT),
    "3 bits": (_png(png_header(8, 8, 3), _DATA, _END), CORRUPT),
    "colour type 5": (_png(png_header(8, 8, 8, 5), _DATA, _END), CORRUPT),
    "unknown compression method": (_png(png_header(8, 8, 8, 2, 9, 0, 0), _DATA, _END), RED),
    "unknown filter method": (_png(png_header(8, 8, 8, 2, 0, 9, 0), _DATA, _END), CORRUPT),
    "row with an unknown filter": (_png(_HEAD, chunk(b"IDAT", zlib.compress(b"\x09" + _ROWS[1:])), _END), CORRUPT),
    "truncated header": (_png(chunk(b"IHDR", bytes(5)), _DATA, _END), CORRUPT),
    "no header": (_png(_DATA, _END), CORRUPT),
    "two headers": (_png(_HEAD, png_header(9, 9), _DATA, _END), CORRUPT),
    "no palette": (_png(png_header(8, 8, 8, 3), _GREY_ROWS, _END), CORRUPT),
    "palette of 4 bytes": (_png(png_header(8, 8, 8, 3), chunk(b"PLTE", b"\xc8\x1e\x1e\0"), _GREY_ROWS, _END), RED),
    "palette too large": (
        _png(png_header(8, 8, 8, 3), chunk(b"PLTE", b"\xc8\1\1" * 300), _GREY_ROWS, _END),
        CORRUPT,
    ),
    "no pixels": (_png(_HEAD, _END), CORRUPT),
    "pixels without compression": (_png(_HEAD, chunk(b"IDAT", _ROWS), _END), CORRUPT),
    "half of the rows": (_png(_HEAD, chunk(b"IDAT", zlib.compress(_ROWS[:100])), _END), RED),
    "twice the rows": (_png(_HEAD, chunk(b"IDAT", zlib.compress(_ROWS * 2)), _END), RED),
    "no end": (_png(_HEAD, _DATA), RED),
    "chunk of 2 GiB": (_png(_HEAD, _announcing(2**31 - 1)), RED),
    "chunk of 4 GiB": (_png(_HEAD, _announcing(2**32 - 1)), RED),
    "unknown chunk that can't be skipped": (_png(_HEAD, chunk(b"ABCD", b"x"), _DATA, _END), RED),
    "unknown chunk that can be skipped": (_png(_HEAD, chunk(b"abCd", b"x"), _DATA, _END), RED),
    "chunk without a name": (_png(_HEAD, chunk(b"\0\0\0\0", b"x"), _DATA, _END), CORRUPT),
    "text with invalid compression": (_png(_HEAD, chunk(b"zTXt", b"a\0\0not zlib"), _DATA, _END), RED),
    "profile with invalid compression": (_png(_HEAD, chunk(b"iCCP", b"a\0\0not zlib"), _DATA, _END), RED),
    "transparency of 0 bytes": (_png(_HEAD, chunk(b"tRNS", b""), _DATA, _END), CORRUPT),
    "gamma of 0 bytes": (_png(_HEAD, chunk(b"gAMA", b""), _DATA, _END), RED),
}


def cases() -> list[Case]:
    """Return all cases."""
    return [
        *(Case(f"JPEG, {name}", body, answer) for name, (body, answer) in _JPEGS.items()),
        *(Case(f"PNG, {name}", body, answer) for name, (body, answer) in _PNGS.items()),
    ]
