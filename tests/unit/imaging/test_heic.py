"""HEIC, where its decoder is installed: the limits of AVIF hold, and the data's own size counts."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import imaging
from imaging import sniff
from imaging.frames import hevc_frames
from imaging.heif import primary_image
from tests.corpus.case import noisy
from tests.corpus.items import Part, avif, bits, box, grid, size
from tests.pictures import encoded, picture


def hevc(image: Image.Image) -> Part:
    """Return an image as an item. Its sides must be multiples of 8."""
    data = encoded(image, "HEIF")
    start = data.index(b"hvcC") - 4
    configuration = data[start : start + int.from_bytes(data[start : start + 4], "big")]
    return Part(b"hvc1", data[data.index(b"mdat") + 4 :], (size(*image.size), configuration))


def heic(*parts: Part, **options: object) -> bytes:
    return avif(*parts, brand=b"heic", **options)  # type: ignore[arg-type]


def difference(one: bytes, other: bytes) -> int:
    return int(np.abs(imaging.decode(one, 4).astype(int) - imaging.decode(other, 4)).max())


@pytest.mark.parametrize(("width", "height"), [(64, 64), (65, 49), (300, 200)])
def test_a_photo_has_the_pixels_of_the_same_in_another_format(width: int, height: int) -> None:
    image = picture(width, height)
    clear = image.convert("RGBA")
    clear.putalpha(100)
    film = encoded(image, "HEIF", quality=95, save_all=True, append_images=[image.rotate(180)])
    assert difference(encoded(image, "HEIF", quality=95), encoded(image, "PNG")) <= 12
    assert difference(encoded(clear, "HEIF", quality=95), encoded(clear, "PNG")) <= 12
    assert difference(film, encoded(image, "PNG")) <= 12


def test_the_file_is_turned_by_its_properties_and_not_by_exif() -> None:
    """Phones write both; browsers and viewers follow the properties."""
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = hevc(picture(64, 64))
    notes = Part(b"Exif", b"\0\0\0\6" + exif.tobytes(), ())
    turned = replace(plain, properties=(*plain.properties, box(b"irot", b"\3")))
    upright = imaging.decode(heic(plain), 4)
    assert (imaging.decode(heic(plain, notes, links=[(b"cdsc", 2, [1])]), 4) == upright).all()
    found = imaging.decode(heic(turned, notes, links=[(b"cdsc", 2, [1])]), 4)
    # libheif turns before it enlarges the colours' planes.
    assert np.abs(found.astype(int) - np.rot90(upright, 3)).max() <= 12


def test_tiles_are_put_together_and_what_is_not_pixels_is_left_out() -> None:
    red, blue = hevc(noisy(width=64, height=64)), hevc(noisy((30, 30, 200), 64, 64))
    whole = heic(grid(1, 2, 128, 64, inside=True), red, blue, blue,
                 links=[(b"dimg", 1, [2, 3]), (b"thmb", 4, [1])], more=box(b"moov", bytes(99)))  # fmt: skip
    pixels = imaging.decode(whole, 2)
    assert pixels[0, 0].argmax() == 0
    assert pixels[0, 1].argmax() == 2
    assert b"moov" not in primary_image(whole, "HEIF", 10**6)


def test_the_pixels_of_the_data_count_and_not_those_declared() -> None:
    hidden = hevc(noisy(width=208, height=104))
    hidden = replace(hidden, properties=(size(8, 8), *hidden.properties[1:]))
    with pytest.raises(imaging.ImageTooLarge, match="21,632 pixels, more than the 21,631 allowed"):
        imaging.decode(heic(hidden), 8, max_pixels=21_631)
    with pytest.raises(imaging.CorruptImage):
        imaging.decode(heic(hidden), 8)


def golomb(number: int) -> tuple[int, int]:
    return number + 1, 2 * (number + 1).bit_length() - 1


@pytest.mark.parametrize("layers", [0, 2])
@pytest.mark.parametrize("format_", [1, 3])
def test_the_size_is_read_after_every_optional_field(layers: int, format_: int) -> None:
    """Some fields before the size are there only with several layers, or if colours have full resolution."""
    sub = (
        [(1, 1), (1, 1)] * layers + [(0, 2)] * (8 - layers) + [((1 << 88) - 1, 88), (255, 8)] * layers if layers else []
    )
    planes = [(0, 1)] if format_ == 3 else []
    header = bits((0, 4), (layers, 3), (1, 1), ((1 << 96) - 1, 96), *sub, golomb(0), golomb(format_), *planes,
                  golomb(16_384), golomb(8_192), (1, 8))  # fmt: skip
    sequence = b"\x42\1" + header.replace(b"\0\0", b"\0\0\3")
    configuration = bytes(21) + b"\3\1\x21\0\1" + len(sequence).to_bytes(2, "big") + sequence
    part = hevc(picture(64, 64))
    assert hevc_frames(configuration, part.data) == [16_384 * 8_192]
    bomb = replace(part, properties=(size(64, 64), box(b"hvcC", configuration)))
    with pytest.raises(imaging.ImageTooLarge):
        imaging.decode(heic(bomb), 8)
    with pytest.raises(imaging.CorruptImage, match="changes its own size"):
        imaging.decode(heic(replace(part, data=len(sequence).to_bytes(4, "big") + sequence + part.data)), 8)


def test_several_frames_in_one_item_are_refused() -> None:
    part = hevc(picture(64, 64))
    with pytest.raises(imaging.CorruptImage, match="more frames"):
        imaging.decode(heic(replace(part, data=part.data * 5)), 8)
    with pytest.raises(imaging.CorruptImage, match="more than 200 units"):
        imaging.decode(heic(replace(part, data=part.data * 300)), 8)


def test_mutated_heics_raise_only_image_errors() -> None:
    rng = random.Random(5)
    plain = hevc(picture(64, 64))
    clear = picture(40, 30).convert("RGBA")
    clear.putalpha(100)
    tiles = heic(grid(1, 2, 128, 64), plain, plain, links=[(b"dimg", 1, [2, 3])])
    sources = [heic(plain), tiles, encoded(picture(40, 30), "HEIF"), encoded(clear, "HEIF")]
    decoded = 0
    for _ in range(1000):
        data = bytearray(rng.choice(sources))
        for _ in range(rng.randint(1, 5)):
            at = rng.randrange(len(data))
            if rng.random() < 0.8:
                data[at] ^= 1 << rng.randrange(8)
            else:
                del data[at : at + rng.randint(1, 20)]
        try:
            assert imaging.decode(bytes(data), 8, max_pixels=100_000).shape == (8, 8, 3)
            decoded += 1
        except imaging.ImageError:
            continue
    assert decoded > 50


def test_without_the_decoder_the_refusal_names_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sniff, "READS_HEIC", False)
    with pytest.raises(imaging.UnsupportedMediaType, match="the bytes are HEIC"):
        imaging.decode(encoded(picture(), "HEIF"), 8)
