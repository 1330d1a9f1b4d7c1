"""AVIFs that ordinary encoders don't write: of tiles, layers and foreign parts, invalid, or made to do harm."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from tests.corpus.case import BLUE, CORRUPT, RED, TOO_LARGE, UNSUPPORTED, Answer, Case, encoded, noisy

_HUGE = 1 << 14


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box."""
    return struct.pack(">I", 8 + sum(map(len, parts))) + kind + b"".join(parts)


def table(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    """Return a box that has a version."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def size(width: int, height: int) -> bytes:
    """Return the property of an item's size."""
    return table(b"ispe", struct.pack(">II", width, height))


CODING = box(b"av1C", b"\x81\0\x0c\0")
ALPHA = table(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
GREY_CODING = box(b"av1C", b"\x81\0\x1c\0")


@dataclass(frozen=True)
class Part:
    """An item, and the boxes of its properties. It is in the file's data, unless `inside` puts it into the tables."""

    kind: bytes
    data: bytes
    properties: tuple[bytes, ...]
    inside: bool = False
    essential: int = 0x80


Link = tuple[bytes, int, Sequence[int]]
"""A reference: its type, the item it is from, and those it leads to."""


def av1(image: Image.Image, **options: object) -> bytes:
    """Return the AV1 data of an image."""
    data = encoded(image, "AVIF", **options)
    return data[data.index(b"mdat") + 4 :]


def part(image: Image.Image, **options: object) -> Part:
    """Return an image as an item."""
    coding = GREY_CODING if image.mode == "L" else CODING
    return Part(b"av01", av1(image, **options), (size(*image.size), coding))


def avif(
    *parts: Part, links: Sequence[Link] = (), primary: int = 1, brand: bytes = b"avif", more: bytes = b""
) -> bytes:
    """Return a file of items, numbered from 1. `more` are boxes after its tables."""
    small = b"".join(each.data for each in parts if each.inside)
    kinds = [
        table(b"infe", struct.pack(">HH", index, 0), each.kind, b"\0", version=2) for index, each in enumerate(parts, 1)
    ]
    known = [each for part_ in parts for each in part_.properties]
    used, first = [], 1
    for index, each in enumerate(parts, 1):
        count = len(each.properties)
        used.append(struct.pack(">HB", index, count) + bytes(each.essential | first + i for i in range(count)))
        first += count
    references = [
        box(kind, struct.pack(f">HH{len(to)}H", source, len(to), *to)) for kind, source, to in links
    ]  # fmt: skip

    def tables(start: int) -> bytes:
        places, inside = [], 0
        for index, each in enumerate(parts, 1):
            offset = inside if each.inside else start
            places.append(struct.pack(">HHHHII", index, each.inside, 0, 1, offset, len(each.data)))
            inside, start = (inside + len(each.data), start) if each.inside else (inside, start + len(each.data))
        return table(
            b"meta",
            table(b"hdlr", bytes(4) + b"pict" + bytes(13)),
            table(b"pitm", struct.pack(">H", primary)),
            table(b"iloc", b"\x44\0", struct.pack(">H", len(parts)), *places, version=1),
            table(b"iinf", struct.pack(">H", len(parts)), *kinds),
            table(b"iref", *references),
            box(b"iprp", box(b"ipco", *known), table(b"ipma", struct.pack(">I", len(parts)), *used)),
            box(b"idat", small) if small else b"",
        )

    head = box(b"ftyp", brand, bytes(4), b"mif1", brand)
    data = b"".join(each.data for each in parts if not each.inside)
    return head + tables(len(head) + len(tables(0)) + len(more) + 8) + more + box(b"mdat", data)


def grid(rows: int, columns: int, width: int, height: int, **options: bool) -> Part:
    """Return a grid of tiles as an item."""
    data = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    return Part(b"grid", data, (size(width, height),), **options)


def bits(*fields: tuple[int, int]) -> bytes:
    """Return bits, given as (number, how many), and zeros that fill the last byte."""
    text = "".join(f"{number:0{count}b}" for number, count in fields)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


def obu(kind: int, data: bytes) -> bytes:
    """Return a unit of AV1 data."""
    length = bytes([len(data) & 127 | 128, len(data) >> 7])
    return bytes([kind << 3 | 2]) + length + data


def still_header(width: int, height: int) -> bytes:
    """Return the sequence header of a still picture of 8 bits and 4:2:0."""
    sides = ((15, 4), (15, 4), (width - 1, 16), (height - 1, 16))
    return obu(1, bits((0, 3), (1, 1), (1, 1), (8, 5), *sides, (0, 6), (0, 6), (0, 2), (0, 1), (1, 1)))


_RED, _BLUE = noisy(width=64, height=64), noisy((30, 30, 200), 64, 64)
_PART, _OTHER = part(_RED), part(_BLUE)
_TILE = part(_RED)
_CLEAR = replace(part(Image.new("L", (64, 64), 0)), properties=(size(64, 64), GREY_CODING, ALPHA))
_OPAQUE = replace(part(Image.new("L", (64, 64), 255)), properties=(size(64, 64), GREY_CODING, ALPHA))
_TEXT = Part(b"mime", b"application/rdf+xml\0" + b"<x/>" * 50, ())
_PLAIN = avif(_PART)
_PLACE = struct.pack(">II", len(_PLAIN) - len(_PART.data), len(_PART.data))
_HEADER_END = 4 + _PART.data[3]
_FRAME = _PART.data[_HEADER_END:]


def _property(kind: bytes, body: bytes = bytes(4), essential: int = 0x80) -> bytes:
    return avif(replace(_PART, properties=(*_PART.properties, box(kind, body)), essential=essential))


def _declares(width: int, height: int) -> bytes:
    return avif(replace(_PART, properties=(size(width, height), CODING)))


def _tiles(rows: int, columns: int, tiles: Sequence[int], width: int = 128, height: int = 64) -> bytes:
    """Return a grid of a red and a blue tile, in any order."""
    return avif(grid(rows, columns, width, height, inside=True), _TILE, _OTHER, links=[(b"dimg", 1, tiles)])


def _patched(old: bytes, new: bytes) -> bytes:
    assert old in _PLAIN
    return _PLAIN.replace(old, new, 1)


def _with_units(*units: bytes) -> bytes:
    return avif(replace(_PART, data=b"".join(units) + _PART.data))


_ITEMS: dict[str, tuple[bytes | Callable[[], bytes], Answer]] = {
    "as it should be": (_PLAIN, RED),
    "of the brand mif1": (_PLAIN.replace(b"avif", b"mif1", 1), RED),
    "whose second item is the primary": (avif(_OTHER, _PART, primary=2), RED),
    "with a thumbnail": (avif(_PART, _OTHER, links=[(b"thmb", 2, [1])]), RED),
    "with a text": (avif(_PART, _TEXT, links=[(b"cdsc", 2, [1])]), RED),
    "with a text that isn't there": (avif(_PART, replace(_TEXT, data=b""), links=[(b"cdsc", 2, [1])]), RED),
    "with a film": (avif(_PART, brand=b"avis", more=box(b"moov", bytes(500))), RED),
    "with junk at its end": (_PLAIN + b"junk", RED),
    "with a clear layer": (avif(_PART, _CLEAR, links=[(b"auxl", 2, [1])]), RED),
    "with an opaque layer": (avif(_PART, _OPAQUE, links=[(b"auxl", 2, [1])]), RED),
    "with a depth map": (
        avif(_PART, replace(_CLEAR, properties=(size(64, 64), GREY_CODING)), links=[(b"auxl", 2, [1])]),
        RED,
    ),
    "with a profile": (_property(b"colr", b"prof" + b"junk" * 9, 0), RED),
    "with a property of its own": (_property(b"abcd", essential=0), RED),
    "of a red tile and half a blue one": (_tiles(1, 2, [2, 3], width=96), RED),
    "of half a red tile and a blue one": (_tiles(1, 2, [3, 2], width=96), BLUE),
    "without a primary item": (avif(_PART, primary=2), CORRUPT),
    "without tables": (box(b"ftyp", b"avif", bytes(4), b"avif") + box(b"mdat", bytes(99)), UNSUPPORTED),
    "of a film alone": (box(b"ftyp", b"avis", bytes(4), b"avis") + box(b"moov", bytes(99)), UNSUPPORTED),
    "without a list of items": (_patched(b"iinf", b"free"), CORRUPT),
    "without places": (_patched(b"iloc", b"free"), CORRUPT),
    "without properties": (_patched(b"iprp", b"free"), CORRUPT),
    "with two lists of items": (_patched(b"hdlr", b"iinf"), CORRUPT),
    "of an unknown kind of item": (_patched(b"av01\0", b"abcd\0"), UNSUPPORTED),
    "that holds HEVC": (_patched(b"av01\0", b"hvc1\0"), UNSUPPORTED),
    "with an essential property that isn't known": (_property(b"abcd"), UNSUPPORTED),
    "of a size of 0 x 0": (_declares(0, 0), CORRUPT),
    "of twice its size": (_declares(128, 128), RED),
    "of a tenth of its size": (_declares(6, 6), RED),
    "that declares 16384 x 16384": (_declares(_HUGE, _HUGE), TOO_LARGE),
    "whose data has 16384 x 16384": (avif(replace(_PART, data=still_header(_HUGE, _HUGE) + _FRAME)), TOO_LARGE),
    "without a size": (avif(replace(_PART, properties=(CODING,))), CORRUPT),
    "of two sizes": (avif(replace(_PART, properties=(*_PART.properties, size(64, 64)))), CORRUPT),
    "without data": (avif(replace(_PART, data=b"")), CORRUPT),
    "whose data is past its end": (_patched(_PLACE, struct.pack(">II", 1 << 31, 9)), CORRUPT),
    "of a grid of a missing tile": (_tiles(1, 2, [2, 9]), CORRUPT),
    "of a grid of one tile twice": (_tiles(1, 2, [2, 2]), CORRUPT),
    "of a grid of itself": (_tiles(1, 2, [1, 2]), CORRUPT),
    "of a grid of too few tiles": (_tiles(1, 2, [2]), CORRUPT),
    "of a grid of too many tiles": (_tiles(1, 1, [2, 3]), CORRUPT),
    "of a grid larger than its tiles": (_tiles(1, 2, [2, 3], width=500), CORRUPT),
    "of a grid of 60000 x 60000": (_tiles(1, 2, [2, 3], 60_000, 60_000), TOO_LARGE),
    "of 3,000 frames": (lambda: avif(replace(_PART, data=_PART.data + _FRAME * 3000)), CORRUPT),
    "of a million empty units": (lambda: _with_units(b"\x2a\0" * 10**6), CORRUPT),
    "of a million boxes": (lambda: _PLAIN[:24] + box(b"free") * 10**6 + _PLAIN[24:], CORRUPT),
    "of 60,000 items": (lambda: avif(_PART, *[_TEXT] * 60_000), CORRUPT),
}  # fmt: skip


def cases() -> list[Case]:
    """Return all cases."""
    return [Case(f"AVIF {name}", source, answer) for name, (source, answer) in _ITEMS.items()]
