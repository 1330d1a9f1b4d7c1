"""What happens to an image that is no square."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import imaging

GREY = [127, 127, 127]


def striped(width: int, height: int) -> Image.Image:
    """Return red, green and blue thirds along the longer side."""
    pixels = np.zeros((height, width, 3), np.uint8)
    along = np.arange(width)[None, :] if width >= height else np.arange(height)[:, None]
    third = np.broadcast_to(along * 3 // max(width, height), (height, width))
    for channel in range(3):
        pixels[third == channel, channel] = 200
    return Image.fromarray(pixels)


def encoded(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def test_stretched_is_the_default_and_shows_all() -> None:
    data = encoded(striped(96, 24))
    pixels = imaging.decode(data, 24)
    np.testing.assert_array_equal(pixels, imaging.decode(data, 24, resize="stretch"))
    assert [int(pixels[12, x].argmax()) for x in (2, 12, 21)] == [0, 1, 2]


@pytest.mark.parametrize(("width", "height"), [(96, 24), (24, 96)])
def test_a_letterbox_keeps_the_shape_and_has_grey_bars(width: int, height: int) -> None:
    pixels = imaging.decode(encoded(striped(width, height)), 24, resize="letterbox")
    if height > width:
        pixels = pixels.transpose(1, 0, 2)
    assert pixels.shape == (24, 24, 3)
    assert (pixels[[0, 8, 15, 23]] == GREY).all()
    assert [int(pixels[12, x].argmax()) for x in (2, 12, 21)] == [0, 1, 2]
    assert (pixels[9:15] != GREY).any(axis=-1).all()


@pytest.mark.parametrize(("width", "height"), [(96, 24), (24, 96)])
def test_a_crop_shows_the_middle_unchanged(width: int, height: int) -> None:
    image = striped(width, height)
    pixels = imaging.decode(encoded(image), 24, resize="crop")
    left, top = (width - 24) // 2, (height - 24) // 2
    np.testing.assert_array_equal(pixels, np.asarray(image)[top : top + 24, left : left + 24])
    assert set(pixels.argmax(axis=-1).ravel().tolist()) == {1}


@pytest.mark.parametrize("how", imaging.RESIZES)
def test_a_square_is_the_same_in_every_way(how: imaging.Resize) -> None:
    data = encoded(striped(60, 60), "JPEG")
    np.testing.assert_array_equal(imaging.decode(data, 20, resize=how), imaging.decode(data, 20))


@pytest.mark.parametrize("how", imaging.RESIZES)
def test_a_turned_photo_is_the_turned_result(how: imaging.Resize) -> None:
    image, exif = striped(96, 48), Image.Exif()
    exif[0x0112] = 6
    turned = imaging.decode(encoded(image, exif=exif), 24, resize=how)
    np.testing.assert_array_equal(turned, np.rot90(imaging.decode(encoded(image), 24, resize=how), -1))


@pytest.mark.parametrize("how", ["letterbox", "crop"])
def test_transparency_is_white_and_bars_stay_grey(how: imaging.Resize) -> None:
    pixels = imaging.decode(encoded(Image.new("RGBA", (96, 24))), 24, resize=how)
    assert (pixels[12] == 255).all()
    assert (pixels[0] == (GREY if how == "letterbox" else [255, 255, 255])).all()


def test_a_line_of_one_pixel_is_not_lost() -> None:
    pixels = imaging.decode(encoded(Image.new("RGB", (400, 1), "red")), 8, resize="letterbox")
    assert (pixels == [255, 0, 0]).all(axis=-1).sum() == 8


@pytest.mark.parametrize("mode", ["1", "P", "L", "LA", "I;16", "F", "CMYK"])
@pytest.mark.parametrize("how", ["letterbox", "crop"])
def test_every_mode_becomes_a_square(mode: str, how: imaging.Resize) -> None:
    image = striped(60, 20)
    made = image.convert(mode) if mode != "I;16" else Image.fromarray(np.full((20, 60), 40_000, np.uint16))
    pixels = imaging.decode(encoded(made, "TIFF"), 16, resize=how)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert (pixels[8] != GREY).any()


def test_all_sizes_at_once_are_the_same() -> None:
    data = encoded(striped(70, 30))
    for how in imaging.RESIZES:
        together = imaging.decode_sizes(data, (8, 20), resize=how)
        for pixels, size in zip(together, (8, 20), strict=True):
            np.testing.assert_array_equal(pixels, imaging.decode(data, size, resize=how))
