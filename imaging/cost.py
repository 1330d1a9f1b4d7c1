"""Tell from the encoded bytes whether decoding is cheap: so little work that it may run on an event loop.

Cheap is a promise about the worst case, whatever the bytes are made to do. What can't be bounded by a look at the
headers is not cheap, and only costs a hop to a thread.
"""

from __future__ import annotations

_MAX_BYTES = 64 * 1024
_MAX_PIXELS = 256 * 256

_MAX_HEAD = 4 * 1024
"""Bytes before a JPEG's pixels: Pillow reads EXIF entries, of 12 bytes, one by one in Python."""

_MAX_SEGMENTS = 32
"""Segments or chunks, which Pillow also reads in Python."""

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_BASELINE = (0xC0, 0xC1)
_START_OF_SCAN = 0xDA

# What else a PNG may hold is unpacked, parsed or animated.
_PLAIN_CHUNKS = frozenset({b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs", b"tIME", b"IDAT"})


def is_cheap(data: bytes) -> bool:
    """Return whether decoding `data` to a small square is bounded to about a millisecond.

    True only for small baseline JPEGs and plain PNGs.
    """
    if len(data) > _MAX_BYTES:
        return False
    if data.startswith(_JPEG):
        return _is_cheap_jpeg(data)
    return data.startswith(_PNG) and _is_cheap_png(data)


def _is_cheap_jpeg(data: bytes) -> bool:
    # Each further scan of a progressive image goes over all its pixels.
    if data.count(b"\xff\xda") != 1:
        return False
    position, baseline = 2, False
    for _ in range(_MAX_SEGMENTS):
        head = data[position : position + 9]
        if len(head) < 9 or head[0] != 0xFF or position > _MAX_HEAD:
            return False
        marker = head[1]
        if marker == _START_OF_SCAN:
            return baseline
        if marker in _BASELINE:
            if baseline or (head[5] << 8 | head[6]) * (head[7] << 8 | head[8]) > _MAX_PIXELS:
                return False
            baseline = True
        position += 2 + (head[2] << 8 | head[3])
    return False


def _is_cheap_png(data: bytes) -> bool:
    if data[12:16] != b"IHDR":
        return False
    if int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big") > _MAX_PIXELS:
        return False
    position = 33
    for _ in range(_MAX_SEGMENTS):
        kind = data[position + 4 : position + 8]
        if kind == b"IEND":
            return True
        if kind not in _PLAIN_CHUNKS:
            return False
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return False
