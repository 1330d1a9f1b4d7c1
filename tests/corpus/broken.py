"""JPEGs and PNGs that are complete but wrong: tables, sizes, checksums, order."""

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
    """Return the JPEG with other segments of one kind: in their order, None for one as it was, none for the rest."""
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


# Decoders forgive what leaves some picture to be made out: grey or black where there is none.
_JPEGS: dict[str, tuple[bytes, Answer]] = {
    "Huffman table of too many codes": (_jpeg(_HUFFMAN, _huffman([255] * 16)), CORRUPT),
    "Huffman table of impossible codes": (_jpeg(_HUFFMAN, _huffman([3] + [0] * 15), None, None, None), CORRUPT),
    "Huffman table cut": (_jpeg(_HUFFMAN, segment(_HUFFMAN, b"\0\1\2"), None, None, None), CORRUPT),
    "Huffman table of no such number": (_jpeg(_HUFFMAN, _huffman([0, 1] + [0] * 14, 0x4F), None, None, None), CORRUPT),
    "empty Huffman tables": (_jpeg(_HUFFMAN, *[_huffman([0] * 16, t) for t in (0, 16, 1, 17)]), RED),
    "no quantisation table": (_jpeg(_QUANTISATION), CORRUPT),
    "one quantisation table of two": (_jpeg(_QUANTISATION, None), CORRUPT),
    "quantisation table cut": (_jpeg(_QUANTISATION, _quantisation(0, 1, 20), None), CORRUPT),
    "quantisation table of no such number": (_jpeg(_QUANTISATION, _quantisation(9, 1), None), CORRUPT),
    "frame of no width": (_jpeg(_FRAME, _frame(width=0)), CORRUPT),
    "frame of no height": (_jpeg(_FRAME, _frame(height=0)), CORRUPT),
    "frame of nothing": (_jpeg(_FRAME, _frame(width=0, height=0)), CORRUPT),
    "no frame": (_jpeg(_FRAME), CORRUPT),
    "two frames": (_jpeg(_FRAME, _frame() + _frame()), CORRUPT),
    "frame of 12 bits": (_jpeg(_FRAME, _frame(precision=12)), CORRUPT),
    "frame of no bits": (_jpeg(_FRAME, _frame(precision=0)), CORRUPT),
    "frame of two components": (_jpeg(_FRAME, _frame(sampling=(0x11, 0x11))), CORRUPT),
    "frame of 255 components": (_jpeg(_FRAME, _frame(components=255)), CORRUPT),
    "frame of no components": (_jpeg(_FRAME, _frame(sampling=())), CORRUPT),
    "frame sampled by nothing": (_jpeg(_FRAME, _frame(sampling=(0x00, 0x11, 0x11))), CORRUPT),
    "frame sampled by 15": (_jpeg(_FRAME, _frame(sampling=(0xFF, 0x11, 0x11))), CORRUPT),
    "frame with a table that isn't there": (_jpeg(_FRAME, _frame(tables=(3, 3, 3))), CORRUPT),
    "lossless frame": (_jpeg(_FRAME, _frame(marker=0xC3)), CORRUPT),
    "arithmetic frame": (_jpeg(_FRAME, _frame(marker=0xC9)), RED),
    "hierarchical frame": (_jpeg(_FRAME, _frame(marker=0xC5)), CORRUPT),
    "scan of other components": (
        _jpeg(0, pixels=_PIXELS.replace(b"\3\1\0\2\x11\3\x11", b"\3\5\0\6\x11\7\x11")),
        CORRUPT,
    ),
    "scan of no components": (_jpeg(0, pixels=segment(0xDA, b"\0\0\x3f\0") + _PIXELS[14:]), CORRUPT),
    "scan with tables that aren't there": (
        _jpeg(0, pixels=_PIXELS.replace(b"\3\1\0\2\x11\3\x11", b"\3\1\x33\2\x33\3\x33")),
        CORRUPT,
    ),
    "no scan": (_jpeg(0, pixels=b"\xff\xd9"), CORRUPT),
    "segment longer than the file": (_jpeg(0, pixels=b"\xff\xe5\xff\xff" + _PIXELS), CORRUPT),
    "segment of no length": (_jpeg(0, pixels=b"\xff\xe5\0\0" + _PIXELS), RED),
    "no end": (_jpeg(0, pixels=_PIXELS[:-2]), CORRUPT),
    "line ends changed": (_jpeg(0).replace(b"\n", b"\r\n"), RED),
    "fill bytes before a marker": (_jpeg(0xE0, b"\xff\xff\xff" + _SEGMENTS[0]), RED),
    "no application segment": (_jpeg(0xE0), RED),
    "bytes between segments": (_jpeg(0xE0, _SEGMENTS[0] + b"\0junk"), RED),
    "restart markers nobody announced": (_jpeg(0, pixels=_PIXELS[:100] + b"\xff\xd3" + _PIXELS[100:]), RED),
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
    "header's checksum": (_png(_bad(_HEAD), _DATA, _END), CORRUPT),
    "pixels' checksum": (_png(_HEAD, _bad(_DATA), _END), RED),
    "text's checksum": (_png(_HEAD, _bad(_TEXT), _DATA, _END), CORRUPT),
    "zlib's checksum": (_png(_HEAD, chunk(b"IDAT", _bad(zlib.compress(_ROWS))), _END), CORRUPT),
    "end's checksum": (_png(_HEAD, _DATA, _bad(_END)), RED),
    "no width": (_png(png_header(0, 8), _DATA, _END), CORRUPT),
    "no height": (_png(png_header(8, 0), _DATA, _END), CORRUPT),
    "3 bits": (_png(png_header(8, 8, 3), _DATA, _END), CORRUPT),
    "colour type 5": (_png(png_header(8, 8, 8, 5), _DATA, _END), CORRUPT),
    "packed by no such method": (_png(png_header(8, 8, 8, 2, 9, 0, 0), _DATA, _END), RED),
    "filtered by no such method": (_png(png_header(8, 8, 8, 2, 0, 9, 0), _DATA, _END), CORRUPT),
    "row of no such filter": (_png(_HEAD, chunk(b"IDAT", zlib.compress(b"\x09" + _ROWS[1:])), _END), CORRUPT),
    "header cut": (_png(chunk(b"IHDR", bytes(5)), _DATA, _END), CORRUPT),
    "no header": (_png(_DATA, _END), CORRUPT),
    "two headers": (_png(_HEAD, png_header(9, 9), _DATA, _END), CORRUPT),
    "no palette": (_png(png_header(8, 8, 8, 3), _GREY_ROWS, _END), CORRUPT),
    "palette of 4 bytes": (_png(png_header(8, 8, 8, 3), chunk(b"PLTE", b"\xc8\x1e\x1e\0"), _GREY_ROWS, _END), RED),
    "palette of too many": (_png(png_header(8, 8, 8, 3), chunk(b"PLTE", b"\xc8\1\1" * 300), _GREY_ROWS, _END), CORRUPT),
    "no pixels": (_png(_HEAD, _END), CORRUPT),
    "pixels not packed": (_png(_HEAD, chunk(b"IDAT", _ROWS), _END), CORRUPT),
    "half of the rows": (_png(_HEAD, chunk(b"IDAT", zlib.compress(_ROWS[:100])), _END), RED),
    "twice the rows": (_png(_HEAD, chunk(b"IDAT", zlib.compress(_ROWS * 2)), _END), RED),
    "no end": (_png(_HEAD, _DATA), RED),
    "chunk of 2 GiB": (_png(_HEAD, _announcing(2**31 - 1)), RED),
    "chunk of 4 GiB": (_png(_HEAD, _announcing(2**32 - 1)), RED),
    "unknown chunk that can't be skipped": (_png(_HEAD, chunk(b"ABCD", b"x"), _DATA, _END), RED),
    "unknown chunk that can": (_png(_HEAD, chunk(b"abCd", b"x"), _DATA, _END), RED),
    "chunk of no name": (_png(_HEAD, chunk(b"\0\0\0\0", b"x"), _DATA, _END), CORRUPT),
    "text packed wrong": (_png(_HEAD, chunk(b"zTXt", b"a\0\0not zlib"), _DATA, _END), RED),
    "profile packed wrong": (_png(_HEAD, chunk(b"iCCP", b"a\0\0not zlib"), _DATA, _END), RED),
    "transparency for no colour": (_png(_HEAD, chunk(b"tRNS", b""), _DATA, _END), CORRUPT),
    "gamma of no bytes": (_png(_HEAD, chunk(b"gAMA", b""), _DATA, _END), CORRUPT),
}


def cases() -> list[Case]:
    """Return all of them."""
    return [
        *(Case(f"JPEG, {name}", body, answer) for name, (body, answer) in _JPEGS.items()),
        *(Case(f"PNG, {name}", body, answer) for name, (body, answer) in _PNGS.items()),
    ]
