"""AVIF: what a browser shows is what is decoded, and nothing is decoded that wasn't checked."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import imaging
from imaging.frames import av1_frames
from imaging.heif import primary_image
from tests.corpus import items
from tests.corpus.case import Case, noisy
from tests.corpus.items import Part, av1, avif, bits, obu, part
from tests.pictures import encoded, picture

CLASSES = ["red", "green", "blue"]


@pytest.mark.parametrize("case", items.cases(), ids=lambda case: case.name)
def test_every_unusual_or_hostile_avif_gets_its_answer(case: Case) -> None:
    try:
        mean = imaging.decode(case.body, 8).mean((0, 1))
        found = CLASSES[int(mean.argmax())]
    except imaging.ImageError as error:
        found = error.code
    assert found == case.answer.says


def difference(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_that_of_the_same_photo_in_another_format(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = picture(64, 48)
    one, other = (
        imaging.decode(encoded(image, format_, exif=exif, **options), 2)
        for format_, options in (("PNG", {}), ("AVIF", {"quality": 95}))
    )
    assert difference(one, other) <= 8


def test_an_orientation_in_exif_alone_is_ignored_as_browsers_do() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    image = part(picture(64, 48))
    notes = Part(b"Exif", b"\0\0\0\6" + exif.tobytes(), ())
    turned = avif(image, notes, links=[(b"cdsc", 2, [1])])
    assert (imaging.decode(turned, 8) == imaging.decode(avif(image), 8)).all()


@pytest.mark.parametrize("multiplied", [False, True])
def test_transparency_is_laid_over_white(multiplied: bool) -> None:
    image = picture(64, 64).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((64, 64)))
    png = imaging.decode(encoded(image, "PNG"), 8)
    data = encoded(image, "AVIF", quality=95, subsampling="4:4:4", alpha_premultiplied=multiplied)
    assert difference(imaging.decode(data, 8), png) <= 10


def test_the_first_frame_of_an_animation_is_decoded_without_the_film() -> None:
    first = picture()
    others = [first.rotate(180)] * 3
    data = encoded(first, "AVIF", save_all=True, append_images=others)
    assert b"moov" in data
    assert b"moov" not in primary_image(data, "AVIF", 10_000)
    assert difference(imaging.decode(data, 8), imaging.decode(encoded(first, "PNG"), 8)) < 20


def test_the_pixels_of_the_data_count_and_not_those_declared() -> None:
    """The kind: a small file that declares few pixels and decodes to many, in any of its parts."""
    whole, sides = noisy(width=200, height=100), items.size(8, 8)
    hidden = replace(part(whole), properties=(sides, items.CODING))
    for data in (
        avif(hidden),
        avif(part(noisy(width=8, height=8)), replace(hidden, properties=(sides, items.CODING, items.ALPHA)),
             links=[(b"auxl", 2, [1])]),
        avif(items.grid(1, 1, 8, 8), hidden, links=[(b"dimg", 1, [2])]),
    ):  # fmt: skip
        imaging.decode(avif(part(whole)), 8, max_pixels=20_000)
        with pytest.raises(imaging.ImageTooLarge, match="20,000 pixels, more than the 19,999 allowed"):
            imaging.decode(data, 8, max_pixels=19_999)


def test_tiles_and_frames_are_bounded_together() -> None:
    tile = part(noisy(width=64, height=64))
    tiles = avif(items.grid(2, 2, 66, 66), tile, tile, tile, tile, links=[(b"dimg", 1, [2, 3, 4, 5])])
    assert imaging.decode(tiles, 8, max_pixels=6_000).shape == (8, 8, 3)
    with pytest.raises(imaging.ImageTooLarge, match="16,384 pixels in its parts, more than the 15,000 allowed"):
        imaging.decode(tiles, 8, max_pixels=5_000)
    layers = avif(replace(tile, data=tile.data * 5))
    with pytest.raises(imaging.CorruptImage, match="more frames than layers"):
        imaging.decode(layers, 8)


@pytest.mark.parametrize("size", [(1, 1), (64, 48), (257, 3), (1000, 700)])
def test_the_size_of_frames_is_read_from_the_data(size: tuple[int, int]) -> None:
    image = noisy(width=size[0], height=size[1])
    assert av1_frames(av1(image)) == [size[0] * size[1]]
    film = primary_image(encoded(image, "AVIF", save_all=True, append_images=[image]), "AVIF", 10**6)
    assert av1_frames(film[film.index(b"mdat") + 4 :]) == [size[0] * size[1]]


def sequence(timing: bool) -> bytes:
    """Return a whole sequence header of 300 x 200 pixels, with or without everything that is optional."""
    model = [(1, 1), (0, 64), (0, 1), (1, 1), (9, 5), (0, 37), (4, 5)] if timing else [(0, 1)]
    point = [(0, 12), (8, 5), (0, 1), *([(1, 1), (0, 21)] if timing else []), (1, 1), (5, 4)]
    sides = [(8, 4), (7, 4), (299, 9), (199, 8)]
    tools = [(1, 1), (3, 4), (2, 3)] if timing else [(0, 1)]
    rest = [(0, 7), (1, 1), (0, 2), (1, 1), (1, 1), (0, 30)]
    return obu(1, bits((0, 3), (0, 1), (0, 1), *model, (1, 1), (1, 5), *point, *point, *sides, *tools, *rest))


@pytest.mark.parametrize("timing", [False, True])
@pytest.mark.parametrize("own_size", [False, True])
def test_a_frame_with_a_size_of_its_own_counts_as_the_largest_possible(timing: bool, own_size: bool) -> None:
    """A frame's header may replace the size of the sequence, in as many bits."""
    shown = [(0, 1), (0, 2), (1, 1), *([(0, 5)] if timing else []), (0, 1), (1, 1), (0, 1)]
    hidden = [(0, 1), (1, 2), (0, 1), (0, 1), (0, 1), (0, 1), (0, 1)]
    number = [(0, 8)] if timing else []
    for frame in (shown, hidden):
        data = obu(6, bits(*frame, *number, (own_size, 1), (0, 30)))
        assert av1_frames(sequence(timing) + data) == [512 * 256 if own_size else 300 * 200]


def test_mutated_avifs_raise_only_image_errors() -> None:
    """The kind: any table, header or data that is wrong."""
    rng = random.Random(3)
    clear = picture(40, 30).convert("RGBA")
    clear.putalpha(100)
    sources = [case.body for case in items.cases() if isinstance(case.source, bytes)]
    sources += [encoded(clear, "AVIF"), encoded(picture(), "AVIF", save_all=True, append_images=[picture()])]
    decoded = 0
    for _ in range(1500):
        data = bytearray(rng.choice(sources))
        # Most of the tables are in the first 500 bytes.
        reach = rng.choice((500, len(data)))
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(min(reach, len(data)))
            if rng.random() < 0.8:
                data[at] = rng.choice((rng.randrange(256), data[at] ^ 1 << rng.randrange(8)))
            else:
                del data[at : at + rng.randint(1, 20)]
        try:
            assert imaging.decode(bytes(data), 8, max_pixels=100_000).shape == (8, 8, 3)
            decoded += 1
        except imaging.ImageError:
            continue
    assert decoded > 100


BOMBS = """
import resource, sys
import imaging
from tests.corpus import items
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
for case in items.cases():
    if case.answer.says not in ("image_too_large", "corrupt_image"):
        continue
    try:
        imaging.decode(case.body, 8)
    except imaging.ImageError as error:
        assert error.code == case.answer.says, case.name
"""


def test_bombs_are_refused_within_a_gigabyte_of_address_space() -> None:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", BOMBS], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
