"""Remove from an image's bytes what isn't pixels, so that a decoder neither reads it nor fails on it.

Texts, profiles and notes can unpack to a thousand times their size, and decoders refuse the whole image when they do,
or when one is broken. What stays is what pixels and orientation depend on. Those of WebP and BMP aren't read anyway.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

MAX_BYTES = 1 << 20
"""Most bytes, unpacked, of one block that may hold the orientation. A larger one is ignored."""

_MAX_PIECES = 50_000
"""Most segments or chunks that are looked at; the decoder gets the rest as it is, with the limits of `guard`."""

_Span = tuple[int, int]


def without_metadata(data: bytes, format_: str) -> bytes:
    """Return the image with the same pixels and orientation, without its other metadata.

    Raises:
        struct.error, IndexError: `data` isn't a valid image of that format.
    """
    if format_ in _UNUSED:
        return _cut(data, list(_UNUSED[format_](data)))
    return _with_fewer_tags(data) if format_ == "TIFF" else data


def _cut(data: bytes, spans: list[_Span]) -> bytes:
    if not spans:
        return data
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), len(data)]
    return b"".join(data[start:end] for start, end in zip(starts, ends, strict=True))


_APP0, _EXIF, _ADOBE, _COMMENT = 0xE0, 0xE1, 0xEE, 0xFE
_APPLICATIONS = frozenset(range(_APP0, 0xF0))
_WITH_LENGTH = frozenset({*range(0xC0, 0xD0), *range(0xDB, 0xE0), *_APPLICATIONS, _COMMENT})
"""Markers that are followed by a length. After any other, decoders may continue at another position."""


def _unused_segments(data: bytes) -> Iterator[_Span]:
    found = list(segments(data))
    exif = sum(end - start for start, end in found if data[start + 1] == _EXIF)
    for start, end in found:
        marker = data[start + 1]
        if marker == _EXIF:
            unused = exif > MAX_BYTES
        elif marker in (_APP0, _ADOBE):
            # They tell the colour space. libjpeg ignores shorter ones; Pillow fails on them.
            unused = end - start < 11
        else:
            unused = marker in _APPLICATIONS or marker == _COMMENT
        if unused:
            yield start, end


def segments(data: bytes) -> Iterator[_Span]:
    """Yield where each segment before a JPEG's first scan starts and ends, up to the first that isn't plain."""
    position = 2
    for _ in range(_MAX_PIECES):
        head = data[position : position + 4]
        if len(head) < 4 or head[0] != 0xFF or head[1] not in _WITH_LENGTH:
            return
        length = head[2] << 8 | head[3]
        if length < 2:
            return
        yield position, position + 2 + length
        position += 2 + length


_NAMES = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
"""Beginnings of the texts of a PNG from which Pillow reads an orientation."""
_MAX_CHUNK = MAX_BYTES + 4
"""Bytes of a chunk's contents and checksum above which it is too large."""


def _unused_chunks(data: bytes) -> Iterator[_Span]:
    position, seen = 8, set[bytes]()
    for _ in range(_MAX_PIECES):
        kind = data[position + 4 : position + 8]
        if len(kind) < 4 or not kind.isalpha() or kind == b"IEND":
            return
        length = int.from_bytes(data[position : position + 4], "big")
        start, end = position + 8, position + 12 + length
        # The case of the first letter tells whether the pixels need the chunk. Transparency is the exception.
        if kind[:1].islower() and kind != b"tRNS":
            name = b"" if kind == b"eXIf" else next((name for name in _NAMES if data.startswith(name, start)), None)
            if (
                name is None
                or name in seen
                or not _is_sound(kind, data[start : min(end, start + _MAX_CHUNK + 1)], name)
            ):
                yield position, end
            else:
                seen.add(name)
        position = end


def _is_sound(kind: bytes, chunk: bytes, name: bytes) -> bool:
    """Return whether a chunk of a PNG has the right checksum and at most `MAX_BYTES` without its compression."""
    body = chunk[:-4]
    if len(chunk) > _MAX_CHUNK or zlib.crc32(kind + body) != int.from_bytes(chunk[-4:], "big"):
        return False
    after = body[len(name) :]
    if kind == b"zTXt":
        packed = after[1:]
    elif kind == b"iTXt" and after[:1] != b"\0":
        packed = after.split(b"\0", 3)[-1]
    else:
        return True
    try:
        unpacker = zlib.decompressobj()
        unpacker.decompress(packed, MAX_BYTES)
    except zlib.error:
        return False
    return not unpacker.unconsumed_tail


_GRAPHIC_CONTROL = b"!\xf9"


def _unused_extensions(data: bytes) -> Iterator[_Span]:
    """Yield the extensions before the first frame, except the one that declares a transparent colour."""
    position = 13 + (3 << (data[10] & 7) + 1 if data[10] & 128 else 0)
    left = _MAX_PIECES
    while data[position : position + 1] == b"!":
        end = position + 2
        while left and end < len(data) and data[end]:
            left -= 1
            end += 1 + data[end]
        end += 1
        if not left:
            return
        # Pillow takes the bytes after an empty one for its contents.
        if not data.startswith(_GRAPHIC_CONTROL, position) or end == position + 3:
            yield position, end
        left -= 1
        position = end


_UNUSED: dict[str, Callable[[bytes], Iterator[_Span]]] = {
    "JPEG": _unused_segments,
    "PNG": _unused_chunks,
    "GIF": _unused_extensions,
}


class Directory:
    """The first directory of a TIFF, the only one that is decoded.

    Args:
        data: the TIFF.

    Attributes:
        order: of bytes, as `struct` writes it.
        offset: format of an offset, as `struct` writes it.
        entries: (tag, type, count, value or its offset) of each entry.

    Raises:
        struct.error: there is no whole directory, or it has more entries than there are tags.
    """

    def __init__(self, data: bytes) -> None:
        self.order = "<" if data.startswith(b"II") else ">"
        big = data[2:4] in (b"+\0", b"\0+")
        self.number, self.offset = ("Q", "Q") if big else ("H", "L")
        self.start = 8 if big else 4
        (start,) = struct.unpack_from(self.order + self.offset, data, self.start)
        (count,) = struct.unpack_from(self.order + self.number, data, start)
        start += struct.calcsize(self.order + self.number)
        self.layout = struct.Struct(f"{self.order}HH{self.offset}{self.offset}")
        if count > 0xFFFF:
            raise struct.error(f"{count} entries")
        held = memoryview(data)[start : start + count * self.layout.size]
        self.entries: list[tuple[int, int, int, int]] = list(self.layout.iter_unpack(held))
        if len(self.entries) < count:
            raise struct.error("the directory is truncated")


_XMP = 700
_PIXEL_TAGS = frozenset(
    {
        *range(256, 260),  # size, bits, compression
        *(262, 266, 273, 274, 277, 278, 279, 284),  # colours, orientation, strips, planes
        *(292, 293, 317, 320),  # fax options, predictor, palette
        *range(322, 326),  # tiles
        *(332, 334, 338, 339, 347),  # inks, transparency, kind of numbers, JPEG tables
        *range(512, 522),  # JPEG of the old kind
        *range(529, 533),  # YCbCr
        *range(32995, 32999),  # transparency, kind of numbers and depth, of the old kind
        50674,  # LERC
    }
)
"""Tags on which pixels depend: TIFF 6.0, its technical notes, and libtiff's own."""


def _with_fewer_tags(data: bytes) -> bytes:
    """Return the TIFF with a new directory at its end."""
    directory = Directory(data)
    kept = [
        entry
        for entry in directory.entries
        if entry[0] in _PIXEL_TAGS or (entry[0] == _XMP and entry[1] in (1, 7) and entry[2] <= MAX_BYTES)
    ]
    if len(kept) == len(directory.entries):
        return data
    order, offset, start = directory.order, directory.offset, directory.start
    count = struct.pack(order + directory.number, len(kept))
    entries = b"".join(directory.layout.pack(*entry) for entry in kept)
    # Values are in the entries themselves if they are short, so they are copied as they are.
    place = struct.pack(order + offset, len(data))
    following = struct.pack(order + offset, 0)
    return b"".join((data[:start], place, data[start + len(place) :], count, entries, following))
