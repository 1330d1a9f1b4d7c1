"""Read the tables of a file of image items, the container of AVIF and HEIC.

ISO/IEC 14496-12 (boxes) and 23008-12 (items).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from imaging.errors import CorruptImage

_MAX_BOXES = 10_000
"""Most boxes in one box. A photo of 200 megapixels has about 1,000 tiles, each an item."""

_MAX_TABLE = 1 << 17
"""Bytes of a table of items. 1,000 tiles need 30,000."""

_MAX_TABLES = 4
"""Most tables that assign properties."""

_TABLES = frozenset({b"pitm", b"iinf", b"iloc", b"iref", b"iprp", b"idat"})
_IGNORED = frozenset({b"pasp", b"clli", b"mdcv", b"cclv", b"amve", b"rloc"})
"""Properties without which an item can be decoded, even if they are marked as essential."""
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")

Property = tuple[bool, bytes, bytes]
"""Whether it is essential, its type and contents."""


@dataclass
class Item:
    """An item: an image, or a grid of images.

    Attributes:
        kind: its type.
        method: where its extents are: 0 in the file, 1 in the box of small data.
        extents: offset and length of each piece of its data.
        properties: what a decoder needs.
        is_unusual: a property that is marked as essential isn't known.
    """

    kind: bytes = b""
    method: int = 0
    extents: list[tuple[int, int]] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)
    is_unusual: bool = False

    def property(self, kind: bytes) -> bytes:
        """Return the contents of a property.

        Raises:
            ValueError: the item hasn't exactly one of the kind.
        """
        (body,) = (body for _, name, body in self.properties if name == kind)
        return body

    def pixels(self) -> int:
        """Return the number of pixels that the item declares."""
        width, height = struct.unpack_from(">II", self.property(b"ispe"), 4)
        return int(width * height)

    def is_alpha(self) -> bool:
        """Return whether the item is the transparency of another."""
        return any(kind == b"auxC" and body[4:].startswith(_ALPHA) for _, kind, body in self.properties)


class _Numbers:
    """Reads the big-endian numbers of a table."""

    def __init__(self, box: memoryview) -> None:
        if len(box) > _MAX_TABLE:
            raise CorruptImage("the image is split into too many items")
        self._box, self._at = box, 0

    def take(self, size: int) -> int:
        start, self._at = self._at, self._at + size
        if self._at > len(self._box):
            raise CorruptImage("a table of items is truncated")
        return int.from_bytes(self._box[start : self._at], "big")

    def rest(self) -> memoryview:
        return self._box[self._at :]


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the type and contents of each box.

    Raises:
        CorruptImage: one is truncated, or there are too many.
    """
    at = 0
    for _ in range(_MAX_BOXES):
        if at == len(data):
            return
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + 8]), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if size < head or at + size > len(data):
            raise CorruptImage("a box of the file is truncated or invalid")
        yield kind, data[at + head : at + size]
        at += size
    raise CorruptImage(f"the file has more than {_MAX_BOXES:,} boxes")


class Items:
    """The items of a file.

    Args:
        box: contents of its `meta` box.
        needed: types of the properties that matter.

    Attributes:
        items: by their number; those that are encrypted or have no type are left out.
        primary: number of the image that stands for the file.
        references: (type, number, numbers it refers to).
        small: the box of small data.

    Raises:
        CorruptImage, KeyError, IndexError: a table is missing, invalid or too large.
    """

    def __init__(self, box: memoryview, needed: frozenset[bytes]) -> None:
        self._needed = needed
        tables: dict[bytes, memoryview] = {}
        for kind, body in boxes(box[4:]):
            if kind in _TABLES and tables.setdefault(kind, body) is not body:
                raise CorruptImage("the file has two tables of one kind")
        self.items: dict[int, Item] = {}
        self.small = tables.get(b"idat", memoryview(b""))
        start = _Numbers(tables[b"pitm"])
        self.primary = start.take(4 if start.take(4) >> 24 else 2)
        self._read_kinds(_Numbers(tables[b"iinf"]))
        self._read_places(_Numbers(tables[b"iloc"]))
        self._read_properties(tables[b"iprp"])
        self.references = list(_references(_Numbers(tables[b"iref"]))) if b"iref" in tables else []

    def _read_kinds(self, table: _Numbers) -> None:
        table.take(4 if table.take(4) >> 24 else 2)
        for _, body in boxes(table.rest()):
            entry = _Numbers(body)
            version = entry.take(4) >> 24
            number, protection = entry.take(2 if version == 2 else 4), entry.take(2)
            if version in (2, 3) and not protection:
                self.items[number] = Item(bytes(entry.rest()[:4]))

    def _read_places(self, table: _Numbers) -> None:
        version, sizes = table.take(4) >> 24, table.take(2)
        wide = 4 if version == 2 else 2
        offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        if not length:
            raise CorruptImage("the file doesn't declare how long its items are")
        for _ in range(table.take(wide)):
            number = table.take(wide)
            method = table.take(2) & 15 if version else 0
            elsewhere, start = table.take(2), table.take(base)
            extents = []
            for _ in range(table.take(2)):
                table.take(index if version else 0)
                extents.append((start + table.take(offset), table.take(length)))
            if number in self.items and not elsewhere:
                self.items[number].method, self.items[number].extents = method, extents

    def _read_properties(self, box: memoryview) -> None:
        known: list[tuple[bytes, bytes]] = []
        for count, (kind, body) in enumerate(boxes(box)):
            if count > _MAX_TABLES:
                raise CorruptImage("the image's properties are split into too many tables")
            if kind == b"ipco":
                known = [(name, bytes(of) if name in self._needed else b"") for name, of in boxes(body)]
            elif kind == b"ipma":
                self._assign(_Numbers(body), known)

    def _assign(self, table: _Numbers, known: list[tuple[bytes, bytes]]) -> None:
        head = table.take(4)
        bits = 15 if head & 1 else 7
        for _ in range(table.take(4)):
            item = self.items.get(table.take(4 if head >> 24 else 2), Item())
            for _ in range(table.take(1)):
                place = table.take((bits + 1) // 8)
                essential, index = bool(place >> bits), place & (1 << bits) - 1
                kind, body = known[index - 1] if index else (b"rloc", b"")
                # A colour profile doesn't matter; how colours are coded does.
                if kind in self._needed and (kind != b"colr" or body.startswith(b"nclx")):
                    item.properties.append((essential, kind, body))
                elif essential and kind not in _IGNORED and kind != b"colr":
                    item.is_unusual = True

    def tiles(self, number: int) -> list[int]:
        """Return the items of which an item is a grid, in order."""
        if self.items[number].kind != b"grid":
            return []
        (tiles,) = (targets for kind, source, targets in self.references if kind == b"dimg" and source == number)
        return tiles

    def of_primary(self) -> list[int]:
        """Return the primary item, its tiles if it is a grid, and the items that are their transparency."""
        colours = dict.fromkeys([self.primary, *self.tiles(self.primary)])
        found = [self.primary, *self.tiles(self.primary)]
        for kind, source, targets in self.references:
            if kind == b"auxl" and not colours.keys().isdisjoint(targets) and self.items[source].is_alpha():
                found += [source, *self.tiles(source)]
        return found


def _references(table: _Numbers) -> Iterator[tuple[bytes, int, list[int]]]:
    size = 4 if table.take(4) >> 24 else 2
    for kind, body in boxes(table.rest()):
        entry = _Numbers(body)
        yield kind, entry.take(size), [entry.take(size) for _ in range(entry.take(2))]
