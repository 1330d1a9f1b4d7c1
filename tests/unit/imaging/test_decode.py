"""The image policy, for each format and mode."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imaging
from tests.corpus.case import chunk, png_of_rows
from tests.pictures import encoded, picture


def reference(image: Image.Image, size: int = 16) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)).astype(int)


def difference(data: bytes, expected: np.ndarray) -> int:
    decoded = imaging.decode(data, len(expected))
    assert decoded.shape == expected.shape
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable
    return int(np.abs(decoded.astype(int) - expected).max())


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_give_exact_pixels(format_: str) -> None:
    assert difference(encoded(picture(), format_), reference(picture())) == 0


@pytest.mark.parametrize(("format_", "options"), [("JPEG", {"quality": 95}), ("WEBP", {"quality": 95}), ("GIF", {})])
def test_lossy_formats_give_similar_pixels(format_: str, options: dict[str, object]) -> None:
    flat = Image.new("RGB", (24, 16), (200, 40, 40))
    assert difference(encoded(flat, format_, **options), reference(flat)) <= 6


@pytest.mark.parametrize(
    ("header", "pixels", "expected"),
    [
        (b"P5 2 1 255\n", b"\x00\xff", [[0] * 3, [255] * 3]),
        (b"P5 2 1 65535\n", b"\x01\x01\xff\xff", [[1] * 3, [255] * 3]),
        (b"P5 2 1 15\n", b"\x01\x0f", [[17] * 3, [255] * 3]),
        (b"P6 # by hand\n2 1 1000\n", b"\0\0\3\xe8\0\0" * 2, [[0, 255, 0]] * 2),
    ],
)
def test_ppm_and_pgm_are_scaled_by_their_largest_value(header: bytes, pixels: bytes, expected: list[list[int]]) -> None:
    row = imaging.decode(header.replace(b"2 1", b"2 2") + pixels * 2, 2)[0]
    assert row.tolist() == expected


@pytest.mark.parametrize("data", [encoded(picture(300, 200), f) for f in ("PNG", "JPEG", "WEBP", "PPM")])
def test_several_sizes_are_what_each_is_alone(data: bytes) -> None:
    sizes = [16, 40, 8]
    for size, square in zip(sizes, imaging.decode_sizes(data, sizes), strict=True):
        assert (square == imaging.decode(data, size)).all()


def test_a_path_and_its_bytes_give_the_same_pixels(tmp_path: Path) -> None:
    data = encoded(picture(300, 200), "JPEG")
    (tmp_path / "no-extension").write_bytes(data)
    assert (imaging.decode(tmp_path / "no-extension", 32) == imaging.decode(data, 32)).all()


ORIENT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", ORIENT)
def test_exif_orientation_is_applied(orientation: int) -> None:
    """Store a turned picture with its orientation in the EXIF block, and get the upright picture back."""
    upright = np.asarray(picture(24, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(ORIENT[orientation](upright)))
    data = encoded(stored, "PNG", exif=exif)
    assert difference(data, reference(picture(24, 16))) <= 1


def test_a_broken_exif_block_loses_only_the_orientation() -> None:
    assert difference(encoded(picture(), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), reference(picture())) == 0


def test_grey_multiplied_by_its_transparency_is_laid_over_white() -> None:
    out = io.BytesIO()
    Image.new("LA", (8, 8), (50, 128)).save(out, "TIFF")
    # Tag ExtraSamples: 2 is plain transparency; with 1 the colours are multiplied by it.
    straight, multiplied = (struct.pack("<HHIHxx", 338, 3, 1, kind) for kind in (2, 1))
    assert out.getvalue().count(straight) == 1
    assert imaging.decode(out.getvalue().replace(straight, multiplied), 4).tolist() == [[[177] * 3] * 4] * 4


@pytest.mark.parametrize(
    ("kind", "key", "other", "expected"),
    [
        (0, "1000", "1001", (16, 16, 16)),
        # Of colours, Pillow reads the upper 8 bits only.
        (2, "123412341234", "134012351234", (19, 18, 18)),
        (2, "001200120012", "120012001200", (18, 18, 18)),
    ],
)
def test_the_transparent_colour_of_a_16_bit_png_becomes_white(
    kind: int, key: str, other: str, expected: tuple[int, int, int]
) -> None:
    left, right = bytes.fromhex(key), bytes.fromhex(other)
    data = png_of_rows(left * 4 + right * 4, 8, 8, 16, kind)
    at = data.index(b"IDAT") - 4
    for decoded in imaging.decode_sizes(data[:at] + chunk(b"tRNS", left) + data[at:], [8, 8]):
        assert (decoded[:, :4] == 255).all()
        assert (decoded[:, 4:] == expected).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparency_is_laid_over_white(mode: str) -> None:
    image = Image.new("RGBA", (16, 16), (10, 10, 10, 0))
    image.paste((10, 10, 10, 255), (0, 0, 8, 16))
    if mode == "P":
        palette = Image.new("P", (16, 16), 0)
        palette.putpalette([255, 0, 0, 10, 10, 10])
        palette.paste(1, (0, 0, 8, 16))
        data = encoded(palette, "PNG", transparency=0)
    elif mode == "PA":
        data = encoded(image, "WEBP", lossless=True)
    else:
        data = encoded(image.convert(mode), "PNG")
    decoded = imaging.decode(data, 16)
    assert (decoded[:, :8] <= 12).all()
    assert (decoded[:, 8:] >= 253).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    grey = Image.new("RGB", (16, 16), (255, 255, 255))
    image = Image.merge("LAB", [Image.new("L", (16, 16), v) for v in (255, 128, 128)]) if mode == "LAB" else grey
    data = encoded(image if mode == "LAB" else image.convert(mode), "TIFF")
    assert (imaging.decode(data, 8) >= 250).all()


def test_cmyk_jpegs_are_not_inverted() -> None:
    red = Image.new("RGB", (16, 16), (250, 10, 10)).convert("CMYK")
    pixel = imaging.decode(encoded(red, "JPEG", quality=95), 8)[4, 4].astype(int)
    assert np.abs(pixel - [250, 10, 10]).max() < 12


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_16_bit_values_are_divided_by_257_whatever_the_other_pixels_are(format_: str) -> None:
    values = np.full((8, 8), 257 * 100, np.uint16)
    values[0, 0] = 257 * 3
    decoded = imaging.decode(encoded(Image.fromarray(values), format_), 8)
    assert decoded[4, 4].tolist() == [100] * 3
    assert decoded[0, 0].tolist() == [3] * 3


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 0.5], [1, 0.25]], np.float32), [[0, 128], [255, 64]]),
        (np.array([[0, 128], [255, 64]], np.float32), [[0, 128], [255, 64]]),
        (np.array([[0, 257 * 128], [65535, 257 * 64]], np.int32), [[0, 128], [255, 64]]),
        (np.array([[-1, 0], [1, 0]], np.float32), [[0, 128], [255, 128]]),
        (np.array([[np.nan, np.inf], [255, -np.inf]], np.float32), [[0, 0], [255, 0]]),
        (np.array([[-3e38, 3e38], [0, 0]], np.float32), [[0, 255], [128, 128]]),
        (np.full((2, 2), -7, np.float32), [[0, 0], [0, 0]]),
        (np.zeros((2, 2), np.int32), [[0, 0], [0, 0]]),
    ],
)
def test_floats_and_wide_integers_are_scaled_by_their_range(values: np.ndarray, expected: list[list[int]]) -> None:
    decoded = imaging.decode(encoded(Image.fromarray(values), "TIFF"), 2)
    assert np.abs(decoded[:, :, 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_frame_of_an_animation_is_decoded(format_: str) -> None:
    first, second = Image.new("RGB", (16, 16), (250, 0, 0)), Image.new("RGB", (16, 16), (0, 0, 250))
    data = encoded(first, format_, save_all=True, append_images=[second])
    assert imaging.decode(data, 4)[2, 2, 0] > 200


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (3000, 2), (500, 333)])
def test_any_shape_is_stretched_to_a_square(size: tuple[int, int]) -> None:
    assert difference(encoded(picture(*size), "PNG"), reference(picture(*size))) == 0


def test_a_large_jpeg_decoded_at_reduced_scale_looks_the_same() -> None:
    smooth = (
        np.linspace(0, 255, 2000)[None, :, None] * np.linspace(0.2, 1, 1500)[:, None, None] * np.array([1, 0.7, 0.4])
    )
    data = encoded(Image.fromarray(smooth.astype(np.uint8)), "JPEG", quality=95)
    full = np.asarray(Image.open(io.BytesIO(data)).resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(imaging.decode(data, 32).astype(int) - full).max() <= 4
