"""Make of an AVIF or HEIC a file that holds its primary image alone.

The decoder gets this file, so it meets nothing that wasn't checked here: no film, thumbnail, text or profile, not more
pixels in the data than allowed, whatever size is declared, and no table that two parsers understand differently.
ISO/IEC 23008-12, https://aomediacodec.github.io/av1-avif/
"""

from __future__ import annotations

import struct

from imaging.errors import CorruptImage, ImageTooLarge, UnsupportedMediaType
from imaging.frames import av1_frames, hevc_frames
from imaging.items import Item, Items, boxes

_MAX_ITEMS = 2_000
"""Most tiles, with their transparency. 200 megapixels in tiles of 512 x 512 are 768."""

_MAX_FRAMES = 4
"""Most frames of one item: AV1 has up to four layers."""

_MAX_WORK = 3
"""Most pixels of all frames, in multiples of `max_pixels`: colours, transparency, and what tiles overhang."""

_NEEDED = frozenset(
    {b"ispe", b"pixi", b"av1C", b"hvcC", b"colr", b"clap", b"irot", b"imir", b"auxC", b"a1op", b"a1lx", b"lsel"}
)
_KINDS = {"AVIF": b"av01", "HEIF": b"hvc1"}
"""Type of the items that hold pixels, by Pillow's name of the format."""
_BRANDS = {"AVIF": b"avif\0\0\0\0avifmif1miaf", "HEIF": b"heic\0\0\0\0heicmif1"}
_NAMES = {"AVIF": "an AVIF", "HEIF": "a HEIC"}


def primary_image(data: bytes, format_: str, max_pixels: int) -> bytes:
    """Return a file of the same format with the pixels, transparency and orientation of the primary image.

    Raises:
        ImageTooLarge: the image has more than `max_pixels`, as declared or in its data.
        UnsupportedMediaType: there is no still image, or it has another coding than the format, or is made of parts
            in another way than as a grid.
        CorruptImage, LookupError, ValueError, struct.error: the file is invalid, or would keep a decoder busy.
    """
    view = memoryview(data)
    # The tables name places in the whole file, so what follows them isn't parsed.
    box = next((body for kind, body in boxes(view) if kind == b"meta"), None)
    if box is None:
        raise UnsupportedMediaType(f"the bytes are {_NAMES[format_]} without a still image")
    file = Items(box, _NEEDED)
    numbers = file.of_primary()
    if len(set(numbers)) < len(numbers) or len(numbers) > _MAX_ITEMS:
        raise CorruptImage(f"the image has more than {_MAX_ITEMS:,} tiles, or one tile twice")
    items = [file.items[number] for number in numbers]
    contents = _contents(items, view, file.small)
    work = 0
    for number, item, content in zip(numbers, items, contents, strict=True):
        if item.is_unusual or item.kind not in (_KINDS[format_], b"grid"):
            raise UnsupportedMediaType(f"the bytes are {_NAMES[format_]} of a kind that isn't supported")
        if item.kind == b"grid":
            most = _grid_pixels(content, len(file.tiles(number)))
        else:
            frames = av1_frames(content) if format_ == "AVIF" else hevc_frames(item.property(b"hvcC"), content)
            if len(frames) > _MAX_FRAMES:
                raise CorruptImage("the image has more frames than layers")
            most = max(frames)
            work += sum(frames)
        most = max(most, item.pixels())
        if most > max_pixels:
            raise ImageTooLarge(f"{most:,} pixels, more than the {max_pixels:,} allowed")
        if work > _MAX_WORK * max_pixels:
            raise ImageTooLarge(f"{work:,} pixels in its parts, more than the {_MAX_WORK * max_pixels:,} allowed")
    return _written(_BRANDS[format_], items, contents, _references(file, numbers))


def _contents(items: list[Item], file: memoryview, small: memoryview) -> list[bytes]:
    """Return the data of each item. Tiles that look alike may share theirs."""
    known: dict[tuple[object, ...], bytes] = {}
    contents, total = [], 0
    for item in items:
        place = (item.method, *item.extents)
        if place not in known:
            total += sum(length for _, length in item.extents)
            whole = (file, small)[item.method]
            if total > len(file) or any(offset + length > len(whole) for offset, length in item.extents):
                raise CorruptImage("the image is truncated")
            known[place] = b"".join(whole[offset : offset + length] for offset, length in item.extents)
        contents.append(known[place])
    return contents


def _grid_pixels(content: bytes, tiles: int) -> int:
    _, flags, rows, columns = content[:4]
    if (rows + 1) * (columns + 1) != tiles:
        raise CorruptImage("the image's grid has another number of tiles")
    width, height = struct.unpack_from(">II" if flags & 1 else ">HH", content, 4)
    return int(width * height)


_Reference = tuple[bytes, int, list[int]]


def _references(file: Items, numbers: list[int]) -> list[_Reference]:
    """Return those among the items, numbered from 1: parts, transparency, and whether colours are multiplied by it."""
    new = {number: index for index, number in enumerate(numbers, 1)}
    return [
        (kind, new[source], kept)
        for kind, source, targets in file.references
        if kind in (b"dimg", b"auxl", b"prem") and source in new and (kept := [new[to] for to in targets if to in new])
    ]


def _box(kind: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)


def _table(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _shorts(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}H", *numbers)


def _written(brands: bytes, items: list[Item], contents: list[bytes], references: list[_Reference]) -> bytes:
    places: dict[tuple[bytes, bytes], int] = {}
    used = []
    for index, item in enumerate(items, 1):
        used.append(struct.pack(">HB", index, len(item.properties)))
        for essential, *of in item.properties:
            place = places.setdefault((of[0], of[1]), len(places) + 1)
            used.append(_shorts(essential << 15 | place))
    starts: dict[bytes, int] = {}
    end = 0
    for content in contents:
        if content not in starts:
            starts[content] = end
            end += len(content)
    kinds = [_table(b"infe", _shorts(index, 0), item.kind, b"\0", version=2) for index, item in enumerate(items, 1)]
    links = [_box(kind, _shorts(source, len(targets), *targets)) for kind, source, targets in references]

    def tables(start: int) -> bytes:
        pieces = [
            struct.pack(">HHHII", index, 0, 1, start + starts[content], len(content))
            for index, content in enumerate(contents, 1)
        ]
        return _table(
            b"meta",
            _table(b"hdlr", struct.pack(">4x4s13x", b"pict")),
            _table(b"pitm", _shorts(1)),
            _table(b"iloc", b"\x44\0", _shorts(len(items)), *pieces),
            _table(b"iinf", _shorts(len(items)), *kinds),
            _table(b"iref", *links),
            _box(
                b"iprp",
                _box(b"ipco", *(_box(*of) for of in places)),
                _table(b"ipma", struct.pack(">I", len(items)), *used, flags=1),
            ),
        )

    head = _box(b"ftyp", brands)
    return b"".join((head, tables(len(head) + len(tables(0)) + 8), _box(b"mdat", *starts)))
