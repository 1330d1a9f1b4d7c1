"""Refuse what a few bytes can make decoders do for minutes, around the pixels and again and again over them.

`ImageTooLarge` bounds the pixels; this bounds what comes with them. Without it, 20 MB of empty scans keep a decoder
at a 49-megapixel JPEG for over an hour, and a 9 MB TIFF of one-pixel tiles takes 40 s and 3 GB
(tests/corpus/endless.py builds them all). The limits are far from what any writer of images makes.
"""

from __future__ import annotations

import io
import re
import struct

from imaging.errors import CorruptImage

_MAX_READS = 200_000
"""A PNG of 20 MB in pieces of a kilobyte takes 80,000, a TIFF of 65,536 strips 131,000; so many take 0.2 s."""

_MAX_SCANS = 100
"""Each goes over all pixels. Encoders write ten or so; libtiff refuses the JPEGs inside of TIFFs at the same number."""

_MAX_PROFILES = 10
"""Each may unpack to a megabyte; a PNG has one."""

_MAX_VALUES = 65_536
"""Of one TIFF entry, which become an object each. 50 megapixels in strips of one row make 10,000 of them."""

_MAX_EXIF = 1 << 20

_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
# What isn't followed by a length: stuffed data, fill bytes, restart markers.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])", re.DOTALL)

_BYTES = frozenset({1, 2, 6, 7})
"""The TIFF types of one byte a value, which are kept as bytes."""
_INTEGERS = {3: "H", 4: "L", 16: "Q"}
_PLACES = frozenset({273, 279, 324, 325})
"""Where strips and tiles are and how long, which becomes a list of them whatever its type."""
_LENGTHS = frozenset({279, 325})


def stream(data: bytes) -> io.BytesIO:
    """Return a stream of `data` that ends in an error where it is read in too many pieces.

    What is read in small ones is taken apart in Python. Less data hasn't so many: the watch costs 8 us, a seventh of
    what decoding a small JPEG takes.
    """
    return _Watched(data) if len(data) > _MAX_READS else io.BytesIO(data)


class _Watched(io.BytesIO):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = _MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise CorruptImage("an image in too many pieces")
        return super().read(size)


def refuse_endless(data: bytes, format_: str) -> None:
    """Look at what no reading in pieces shows.

    Raises:
        CorruptImage: what `data` holds is endless work.
        struct.error, OverflowError: it isn't of that format.
    """
    if format_ == "JPEG":
        if data.count(b"\xff\xda") > _MAX_SCANS and _has_too_many_scans(data):
            raise CorruptImage(f"a JPEG of over {_MAX_SCANS} scans")
    elif format_ == "PNG":
        if data.count(b"iCCP") > _MAX_PROFILES:
            raise CorruptImage(f"a PNG of over {_MAX_PROFILES} colour profiles")
    elif format_ == "TIFF":
        _check_directory(data)


def refuse_endless_exif(block: bytes) -> None:
    """Refuse an EXIF block whose entries could have millions of values.

    Raises:
        CorruptImage: it is over a mebibyte.
    """
    if len(block) > _MAX_EXIF:
        raise CorruptImage(f"an EXIF block of {len(block):,} bytes")


def _has_too_many_scans(data: bytes) -> bool:
    """Count scans from marker to marker: the same two bytes may stand in a thumbnail, or in a film behind the photo."""
    position = 2
    scans = 0
    while (found := _MARKER.search(data, position)) is not None and found[1][0] != _END_OF_IMAGE:
        scans += found[1][0] == _START_OF_SCAN
        if scans > _MAX_SCANS:
            return True
        position = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
    return False


def _check_directory(data: bytes) -> None:
    """Look at the counts in a TIFF's first directory, the only one that is read."""
    order = "<" if data.startswith(b"II") else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    number, offset = ("Q", "Q") if big else ("H", "L")
    (start,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + number, data, start)
    start += struct.calcsize(order + number)
    layout = struct.Struct(f"{order}HH{offset}{offset}")
    there = min(entries, max(0, len(data) - start) // layout.size)
    for tag, kind, count, place in layout.iter_unpack(memoryview(data)[start : start + there * layout.size]):
        if count > _MAX_VALUES and (tag in _PLACES or kind not in _BYTES):
            raise CorruptImage(f"a TIFF whose entry {tag} has {count:,} values")
        if tag in _LENGTHS and kind in _INTEGERS:
            values = struct.Struct(f"{order}{count}{_INTEGERS[kind]}")
            # A few stand in the entry itself.
            if values.size > struct.calcsize(offset) and sum(values.unpack_from(data, place)) > 4 * len(data):
                raise CorruptImage("a TIFF whose strips or tiles are several times as long as it is")
