"""Images that may be decoded on the event loop: all small ordinary ones, and none that could block it."""

from __future__ import annotations

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import imaging
from imaging.cost import is_cheap

SOF = 0xC0


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    bands = len(Image.new(mode, (1, 1)).getbands())
    values = np.random.default_rng(0).integers(0, 256, (height, width, bands), dtype=np.uint8)
    return Image.frombytes(mode, (width, height), values.tobytes())


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def segment(marker: int, body: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def frame(width: int, height: int) -> bytes:
    """Return the segment that starts an RGB frame."""
    return segment(SOF, struct.pack(">BHHB", 8, height, width, 3) + bytes.fromhex("012200 021101 031101"))


def taken_apart(jpeg: bytes) -> tuple[list[bytes], bytes]:
    """Return a JPEG's segments, and its bytes from the pixels to the end."""
    segments, position = [], 2
    while jpeg[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        segments.append(jpeg[position:end])
        position = end
    return segments, jpeg[position:]


JPEG = encoded(noise(32, 32), "JPEG")
SEGMENTS, PIXELS = taken_apart(JPEG)
AT = next(index for index, body in enumerate(SEGMENTS) if body[1] == SOF)


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + PIXELS


def with_frame(body: bytes) -> bytes:
    return jpeg(*SEGMENTS[:AT], body, *SEGMENTS[AT + 1 :])


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes, width: int = 32, height: int = 32, depth: int = 8, tail: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0) + tail)
    rows = chunk(b"IDAT", zlib.compress((b"\0" + bytes(width * 3 * depth // 8)) * height))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + rows + chunk(b"IEND", b"")


def without_end(mode: str = "RGB") -> bytes:
    return encoded(noise(16, 16, mode), "PNG")[:-12]


CHEAP = {
    "cifar": encoded(noise(32, 32), "JPEG", quality=95),
    "grey": encoded(noise(32, 32, "L"), "JPEG"),
    "cmyk": encoded(noise(32, 32, "CMYK"), "JPEG"),
    "optimised": encoded(noise(32, 32), "JPEG", optimize=True),
    "restarts": encoded(noise(32, 32), "JPEG", restart_marker_rows=1),
    "largest jpeg": encoded(noise(256, 256), "JPEG", quality=50),
    "upright jpeg": encoded(noise(48, 1024), "JPEG", quality=50),
    "comment": encoded(noise(32, 32), "JPEG", comment=b"made by hand"),
    "exif": encoded(noise(32, 32), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
    "profile": encoded(noise(32, 32), "JPEG", icc_profile=bytes(3000)),
    "png": encoded(noise(64, 64), "PNG"),
    "palette": encoded(noise(64, 64).quantize(16), "PNG", transparency=0),
    "bits": encoded(noise(64, 64, "L").convert("1"), "PNG"),
    "alpha": encoded(noise(48, 48, "RGBA"), "PNG", dpi=(72, 72)),
}


@pytest.mark.parametrize("name", CHEAP)
def test_small_ordinary_images_are_cheap(name: str) -> None:
    assert is_cheap(CHEAP[name])
    imaging.decode(CHEAP[name], 8)


EXPENSIVE = {
    "nothing": b"",
    "jpeg of many bytes": encoded(noise(256, 256), "JPEG", quality=95),
    "jpeg of many pixels": encoded(Image.new("RGB", (257, 256)), "JPEG"),
    "thin jpeg": encoded(Image.new("RGB", (1, 1025)), "JPEG"),
    "progressive jpeg": encoded(noise(32, 32), "JPEG", progressive=True),
    "progressive frame": with_frame(b"\xff\xc2" + frame(32, 32)[2:]),
    "arithmetic frame": with_frame(b"\xff\xc9" + frame(32, 32)[2:]),
    "second scan": JPEG[:-2] + b"\xff\xda",
    "thumbnail": jpeg(segment(0xE1, JPEG), *SEGMENTS),
    "no frame": with_frame(b""),
    "two frames": jpeg(*SEGMENTS, frame(32, 32)),
    "large frame before the small": jpeg(b"\xff\xc2" + frame(9000, 5000)[2:], *SEGMENTS),
    "frame of more bytes than components": with_frame(segment(SOF, frame(8, 8)[4:] + b"\1\x11\0" * 1000)),
    "long head": jpeg(segment(0xE1, bytes(5000)), *SEGMENTS),
    "many segments": jpeg(*[segment(0xE5)] * 32, *SEGMENTS),
    "fill bytes": jpeg(b"\xff" + SEGMENTS[0], *SEGMENTS[1:]),
    "stray bytes": jpeg(SEGMENTS[0] + b"\0", *SEGMENTS[1:]),
    "segment without a length": jpeg(b"\xff\xd0", *SEGMENTS),
    "segment of no length": jpeg(b"\xff\xe5\0\0", *SEGMENTS),
    "segment past the end": jpeg(b"\xff\xe5\xff\xff", *SEGMENTS),
    "png of many bytes": encoded(noise(128, 128), "PNG"),
    "png of many pixels": png(width=257, height=256),
    "thin png": png(width=1025, height=1),
    "png of 16 bits": png(depth=16),
    "text": png(chunk(b"tEXt", b"a\0b")),
    "packed text": png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**7)))),
    "packed international text": png(chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(10**7)))),
    "packed profile": png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**7)))),
    "exif of a png": png(chunk(b"eXIf", b"II*\0")),
    "animation": png(chunk(b"acTL", bytes(8))),
    "many chunks": png(*[chunk(b"gAMA", bytes(4))] * 32),
    "long header": png(tail=bytes(8)),
    "cut png": without_end(),
    "bare signature": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "gif": encoded(noise(8, 8), "GIF"),
    "bmp": encoded(noise(8, 8), "BMP"),
    "webp": encoded(noise(8, 8), "WEBP"),
    "tiff": encoded(noise(8, 8), "TIFF"),
}


@pytest.mark.parametrize("name", EXPENSIVE)
def test_an_image_that_could_be_expensive_is_not_cheap(name: str) -> None:
    assert not is_cheap(EXPENSIVE[name])


def test_a_small_frame_cannot_hide_a_large_one() -> None:
    """Pillow skips FF FF and reads the segment after it; a parser that reads FF FF as a segment continues elsewhere."""
    small, large = frame(8, 8), b"".join([*SEGMENTS[:AT], frame(9000, 5000), *SEGMENTS[AT + 1 :]])
    over_the_small = struct.pack(">H", 2 + len(small) + 4)
    hidden = jpeg(b"\xff\xff\x00\x06\xff\xe5", over_the_small, small, segment(0xE6, large))
    assert Image.open(io.BytesIO(hidden)).size == (9000, 5000)
    assert not is_cheap(hidden)


def test_a_truncated_image_never_raises() -> None:
    for data in (JPEG, CHEAP["png"], CHEAP["palette"]):
        for length in range(min(len(data), 1000)):
            is_cheap(data[:length])


def test_a_cheap_image_has_few_pixels_however_its_bytes_are_changed() -> None:
    rng = random.Random(3)
    sources = list(CHEAP.values())
    cheap = 0
    for _ in range(5000):
        data = bytearray(rng.choice(sources))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(min(len(data), 700))
            if rng.random() < 0.7:
                data[at] = rng.choice([0, 1, 255, 254, rng.randrange(256)])
            else:
                data[at:at] = rng.choice(sources)[: rng.randint(1, 300)]
        if not is_cheap(bytes(data)):
            continue
        cheap += 1
        try:
            width, height = Image.open(io.BytesIO(data)).size
        except Exception:
            # How a broken image fails is not the subject of this test.
            continue
        assert width * height <= 65536
    assert cheap > 500
