"""Refuse small files that would keep a decoder busy for minutes.

`ImageTooLarge` bounds the pixels; this module bounds all other work. Without it, 20 MB of empty scans keep a decoder
busy with a 49-megapixel JPEG for over an hour, and a 9 MB TIFF of one-pixel tiles takes 40 s and 3 GB
(tests/corpus/endless.py builds them all). No ordinary encoder comes near these limits.
"""

from __future__ import annotations

import io
import re
import struct

from imaging.errors import CorruptImage
from imaging.metadata import Directory, segments

_MAX_READS = 200_000
"""Most read calls. They take 0.2 s. A PNG of 20 MB in chunks of 1 KB needs 80,000, a TIFF of 65,536 strips 131,000."""

_MAX_SCANS = 100
"""Each scan passes over all pixels. Encoders write about ten. libtiff has the same limit for JPEGs inside TIFFs."""

_MAX_VALUES = 65_536
"""Most values of one TIFF entry. Each becomes an object; 50 megapixels in strips of one row need 10,000."""

_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
# Stuffed bytes, fill bytes and restart markers aren't followed by a length.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])", re.DOTALL)

_BYTES = frozenset({1, 2, 6, 7})
"""TIFF types with one byte per value, which Pillow keeps as bytes."""
_INTEGERS = {3: "H", 4: "L", 16: "Q"}
_PLACES = frozenset({273, 279, 324, 325})
"""Tags of the offsets and lengths of strips and tiles, which become a list whatever their type."""
_LENGTHS = frozenset({279, 325})


def stream(data: bytes) -> io.BytesIO:
    """Return a stream of `data` that raises `CorruptImage` after too many reads.

    Small pieces are parsed in Python. Data shorter than the limit can't have so many, so it isn't watched: watching
    costs 8 us, a seventh of the time to decode a small JPEG.
    """
    return _Watched(data) if len(data) > _MAX_READS else io.BytesIO(data)


class _Watched(io.BytesIO):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = _MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise CorruptImage(f"the image is split into too many pieces: more than {_MAX_READS:,} reads")
        return super().read(size)


def refuse_endless(data: bytes, format_: str) -> None:
    """Check for work that the number of reads doesn't show.

    Raises:
        CorruptImage: `data` would keep a decoder busy for minutes.
        struct.error, OverflowError: `data` isn't a valid image of that format.
    """
    if format_ == "JPEG":
        if data.count(b"\xff\xda") > _MAX_SCANS and _has_too_many_scans(data):
            raise CorruptImage(f"the JPEG has more than {_MAX_SCANS} scans")
    elif format_ == "TIFF":
        _check_directory(data)


def _has_too_many_scans(data: bytes) -> bool:
    """Count scans from marker to marker, because a thumbnail or a video after the photo may hold the same two bytes."""
    position = 2
    scans = 0
    while (found := _MARKER.search(data, position)) is not None and found[1][0] != _END_OF_IMAGE:
        scans += found[1][0] == _START_OF_SCAN
        if scans > _MAX_SCANS:
            return True
        position = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
    return False


def is_single_pass(data: bytes) -> bool:
    """Return whether a decoder surely keeps only some rows of a JPEG at a time, not the coefficients of all pixels.

    It does for a baseline JPEG whose first scan has all components. Others take 3 to 8 bytes per pixel at any scale.
    """
    places = list(segments(data))
    frames = [data[start:end] for start, end in places if 0xC0 <= data[start + 1] <= 0xCF and data[start + 1] != 0xC4]
    end = places[-1][1] if places else 2
    return (
        len(frames) == 1
        and frames[0][1] in (0xC0, 0xC1)
        and data[end : end + 2] == b"\xff\xda"
        and data[end + 4 : end + 5] == frames[0][9:10]
    )


def _check_directory(data: bytes) -> None:
    """Check the counts in a TIFF's directory, each of whose entries may be read."""
    directory = Directory(data)
    order, offset = directory.order, directory.offset
    for tag, kind, count, place in directory.entries:
        if count > _MAX_VALUES and (tag in _PLACES or kind not in _BYTES):
            raise CorruptImage(f"the TIFF's entry {tag} has {count:,} values, more than the {_MAX_VALUES:,} allowed")
        if tag in _LENGTHS and kind in _INTEGERS:
            values = struct.Struct(f"{order}{count}{_INTEGERS[kind]}")
            # If there are only a few values, they are in the entry itself.
            if values.size > struct.calcsize(offset) and sum(values.unpack_from(data, place)) > 4 * len(data):
                raise CorruptImage("the TIFF's strips or tiles add up to more than four times its size")
