"""The image policy for bytes that aren't an image, are damaged, or are made to do harm."""

from __future__ import annotations

import random
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imaging
from tests.pictures import FORMATS, encoded, picture


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"\xff\xd8",
        b"hello",
        b"<html>",
        b"<svg/>",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"BM",
        b"BM is text, not a bitmap",
    ],
)
def test_bytes_of_another_format_are_unsupported(data: bytes) -> None:
    with pytest.raises(imaging.UnsupportedMediaType):
        imaging.decode(data, 8)


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"\0\0\0\x14ftypmif1\0\0\0\0miaf", "HEIF"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"\xff\x0a", "JPEG XL"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg/>', "SVG"),
        (b"\n<!DOCTYPE HTML>", "an HTML page"),
        (b"%PDF-1.7", "a PDF"),
        (b"iVBORw0KGgoAAAANSUhEUg", "base64"),
        (b"P3 2 2 255 ", "a PPM or PGM in another form"),
        (b"", "empty"),
        (b"hello", "no known image"),
    ],
)
def test_the_refusal_names_the_format(data: bytes, seen: str) -> None:
    with pytest.raises(imaging.UnsupportedMediaType, match=f"^the bytes are {seen}.*; supported are JPEG"):
        imaging.decode(data, 8)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_truncated_image_is_corrupt_or_decoded_and_raises_no_other_error(format_: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    data = encoded(noise, format_)
    codes = [outcome(data[: len(data) * percent // 100]) for percent in range(0, 100, 5)]
    assert codes[0] == "unsupported_media_type"
    assert set(codes[1:]) <= {"corrupt_image", "whole"}
    assert codes.count("corrupt_image") >= 17


def outcome(data: bytes) -> str:
    try:
        imaging.decode(data, 8)
    except imaging.ImageError as error:
        return error.code
    return "whole"


def bomb(width: int, height: int, rows: int | None = None) -> bytes:
    """Return a PNG that declares `width` x `height` white pixels but holds only `rows` rows, if given."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    packer = zlib.compressobj(9)
    row = b"\0" + b"\xff" * ((width + 7) // 8)
    pixels = b"".join(packer.compress(row) for _ in range(height if rows is None else rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    data = bomb(10_000, 10_000)
    assert len(data) < 30_000
    with pytest.raises(imaging.ImageTooLarge):
        imaging.decode(data, 8)
    # This is above Pillow's own limit, so Pillow itself raises.
    with pytest.raises(imaging.ImageTooLarge):
        imaging.decode(bomb(60_000, 60_000, rows=1), 8)


def test_the_limit_on_pixels_is_exact() -> None:
    data = encoded(picture(20, 10), "PNG")
    imaging.decode(data, 8, max_pixels=200)
    with pytest.raises(imaging.ImageTooLarge, match="20 x 10 pixels, more than the 199 allowed"):
        imaging.decode(data, 8, max_pixels=199)


def test_a_long_thin_image_is_decoded() -> None:
    assert imaging.decode(bomb(65_500, 1), 8).shape == (8, 8, 3)


def test_an_image_with_a_wrong_checksum_is_corrupt() -> None:
    data = bytearray(encoded(picture(), "PNG"))
    data[data.index(b"IDAT") + 6] ^= 0xFF
    with pytest.raises(imaging.CorruptImage):
        imaging.decode(bytes(data), 8)


def test_a_path_that_cannot_be_read_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        imaging.decode(tmp_path / "none.png", 8)
    with pytest.raises(IsADirectoryError):
        imaging.decode(tmp_path, 8)


def test_mutated_images_raise_only_image_errors() -> None:
    rng = random.Random(7)
    sources = [encoded(picture(40, 30), format_) for format_ in FORMATS] + [
        encoded(picture(), "JPEG", progressive=True),
        encoded(picture().convert("CMYK"), "JPEG"),
        encoded(picture(), "TIFF", compression="tiff_lzw"),
        encoded(picture().convert("P"), "PNG"),
        encoded(picture(), "GIF", save_all=True, append_images=[picture()]),
    ]
    deadline = time.monotonic() + 20
    tried = 0
    while tried < 3000 and time.monotonic() < deadline:
        data = bytearray(rng.choice(sources))
        for _ in range(rng.randint(1, 8)):
            at = rng.randrange(len(data))
            if rng.random() < 0.7:
                data[at] = rng.randrange(256)
            else:
                del data[at : at + rng.randint(1, 20)]
        tried += 1
        try:
            assert imaging.decode(bytes(data), 8, max_pixels=1_000_000).shape == (8, 8, 3)
        except imaging.ImageError:
            continue
    assert tried > 500


def test_threads_do_not_disturb_each_other() -> None:
    sources = [encoded(picture(40 + i, 30), FORMATS[i % len(FORMATS)]) for i in range(60)]
    serial = [imaging.decode(source, 16) for source in sources]
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(lambda source: imaging.decode(source, 16), sources))
    assert all((one == other).all() for one, other in zip(serial, parallel, strict=True))


def test_a_baseline_jpeg_decoded_at_reduced_scale_may_have_four_times_the_pixels() -> None:
    """The kind: photos of 108 and 200 megapixels, above Pillow's limit, of which only a part is decoded."""
    image = picture(400, 300)
    assert imaging.decode(encoded(image, "JPEG"), 8, max_pixels=30_000).shape == (8, 8, 3)
    with pytest.raises(imaging.ImageTooLarge, match="400 x 300 pixels, more than the 116,000 allowed"):
        imaging.decode(encoded(image, "JPEG"), 8, max_pixels=29_000)


def test_a_jpeg_that_is_kept_whole_counts_whole() -> None:
    """A progressive one keeps all coefficients at any scale; one not above twice the target isn't reduced."""
    image = picture(400, 300)
    for data, size in ((encoded(image, "JPEG", progressive=True), 8), (encoded(image, "JPEG"), 200)):
        with pytest.raises(imaging.ImageTooLarge, match="more than the 30,000 allowed"):
            imaging.decode(data, size, max_pixels=30_000)


def test_a_photo_of_200_megapixels_is_decoded() -> None:
    data = encoded(Image.new("L", (16_320, 12_240), 90), "JPEG")
    assert (imaging.decode(data, 8) == 90).all()
