"""Judge from the encoded bytes whether decoding is cheap enough to run on an event loop.

"Cheap" is a promise about the worst case, even for hostile bytes. An image whose cost the headers don't bound is not
cheap; decoding it then costs only a hop to a thread.
"""

from __future__ import annotations

_MAX_PIXELS = 256 * 256

_MAX_SIDE = 1024
"""JPEG pads each side to as much as 32 pixels, which makes the thinnest images 32 times as large."""

_MAX_JPEG = 64 * 1024

_MAX_PNG = 24 * 1024
"""Every 13 bytes can make zlib build new tables without producing a pixel."""

_MAX_HEAD = 4 * 1024
"""Bytes before a JPEG's pixels: Pillow reads EXIF entries, of 12 bytes, one by one in Python."""

_MAX_SEGMENTS = 32
"""Most segments or chunks, which Pillow also reads in Python."""

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_START_OF_SCAN = 0xDA
_BASELINE = frozenset({0xC0, 0xC1})

# Segments that have a length and no effect on how later bytes are parsed. After any other marker, including fill
# bytes, a decoder may continue at another position than this module, and see another image.
_PLAIN_SEGMENTS = frozenset({*_BASELINE, 0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE})

# Other chunks of a PNG would be unpacked, parsed or animated.
_PLAIN_CHUNKS = frozenset({b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs", b"tIME", b"IDAT"})


def is_cheap(data: bytes) -> bool:
    """Return whether decoding `data` to a small square is bounded to about a millisecond.

    True only for small baseline JPEGs and plain PNGs of at most 8 bits.
    """
    if data.startswith(_JPEG):
        return len(data) <= _MAX_JPEG and _is_cheap_jpeg(data)
    return data.startswith(_PNG) and len(data) <= _MAX_PNG and _is_cheap_png(data)


def _is_small(width: int, height: int) -> bool:
    return width <= _MAX_SIDE and height <= _MAX_SIDE and width * height <= _MAX_PIXELS


def _is_cheap_jpeg(data: bytes) -> bool:
    # Each scan of a progressive image passes over all pixels again.
    if data.count(b"\xff\xda") != 1:
        return False
    position, baseline = 2, False
    for _ in range(_MAX_SEGMENTS):
        head = data[position : position + 10]
        if len(head) < 10 or head[0] != 0xFF or position > _MAX_HEAD:
            return False
        marker = head[1]
        if marker == _START_OF_SCAN:
            return baseline
        length = head[2] << 8 | head[3]
        if length < 2 or marker not in _PLAIN_SEGMENTS:
            return False
        if marker in _BASELINE:
            # The last byte read is the number of components, each of which adds three bytes.
            if baseline or length != 8 + 3 * head[9] or not _is_small(head[7] << 8 | head[8], head[5] << 8 | head[6]):
                return False
            baseline = True
        position += 2 + length
    return False


def _is_cheap_png(data: bytes) -> bool:
    width, height, depth = (int.from_bytes(data[start:end], "big") for start, end in ((16, 20), (20, 24), (24, 25)))
    if not _is_small(width, height) or depth > 8:
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
