"""The guard against endless work accepts what ordinary encoders write; tests/corpus builds the images it refuses."""

from __future__ import annotations

import random
import zlib

import pytest
from PIL import Image

import imaging
from tests.corpus import bombs, endless, unusual
from tests.corpus.case import PNG_SIGNATURE, Case, chunk, encoded, noisy, png_header, segment

_NOISE = random.Random(0).randbytes(20 * 2**20)


def is_decoded(data: bytes) -> bool:
    return imaging.decode(data, 8).shape == (8, 8, 3)


@pytest.mark.parametrize("case", [case for case in endless.cases() if case.answer.status != 200], ids=lambda c: c.name)
def test_endless_work_is_refused(case: Case) -> None:
    with pytest.raises(imaging.CorruptImage):
        imaging.decode(case.body, 8)


NOTED = [
    case
    for case in (*unusual.notes(), *bombs.cases(), *endless.cases())
    if case.answer.status == 200 and "Mpx" not in case.name and "scans" not in case.name
]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("case", NOTED, ids=lambda c: c.name)
def test_what_is_not_pixels_never_decides(case: Case) -> None:
    """The kind: metadata of any format that is huge, broken, truncated or unpacks to much more."""
    assert is_decoded(case.body)


def test_the_orientation_is_kept_when_metadata_is_removed() -> None:
    """EXIF and XMP, in chunks and segments, are the only metadata that is read; a PNG's may be compressed."""
    upright = imaging.decode(encoded(noisy(width=40, height=20), "PNG"), 8)
    xmp = b'<x tiff:Orientation="3"/>'
    png = encoded(noisy(width=40, height=20), "PNG")
    name = b"XML:com.adobe.xmp\0"
    for text in (name + b"\0\0\0\0" + xmp, name + b"\1\0\0\0" + zlib.compress(xmp)):
        turned = png[:33] + chunk(b"tEXt", b"Title\0x") + chunk(b"iTXt", text) + png[33:]
        assert (imaging.decode(turned, 8) == upright[::-1, ::-1]).all()
    tiff = encoded(noisy(width=40, height=20), "TIFF", tiffinfo={274: 3, 305: "a program"})
    assert (imaging.decode(tiff, 8) == upright[::-1, ::-1]).all()


def test_scans_in_metadata_and_after_the_image_do_not_count() -> None:
    jpeg = encoded(noisy(), "JPEG", progressive=True)
    notes = b"".join(segment(0xE5, _NOISE[i : i + 65_000]) for i in range(0, 10 * 2**20, 65_000))
    assert notes.count(b"\xff\xda") > 100
    assert is_decoded(jpeg[:2] + notes + jpeg[2:])
    # Some phones store a video after the photo.
    assert is_decoded(jpeg + _NOISE)


def test_a_png_in_small_pieces_is_decoded() -> None:
    side = 2500
    row = 3 * side
    packed = zlib.compress(b"".join(b"\0" + _NOISE[i * row : (i + 1) * row] for i in range(side)), 1)
    assert len(packed) > 17 * 2**20
    pieces = [chunk(b"IDAT", packed[i : i + 1024]) for i in range(0, len(packed), 1024)]
    assert is_decoded(b"".join([PNG_SIGNATURE, png_header(side, side), *pieces, chunk(b"IEND")]))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_of_many_strips_is_decoded(compression: str) -> None:
    image = Image.new("L", (2, 50_000), 7)
    assert is_decoded(encoded(image, "TIFF", compression=compression, tiffinfo={278: 1}, strip_size=2))


def test_images_with_a_large_profile_or_xmp_are_decoded() -> None:
    assert is_decoded(encoded(noisy(), "JPEG", icc_profile=_NOISE[: 2**23]))
    assert is_decoded(encoded(noisy(), "TIFF", icc_profile=_NOISE[: 2**23]))
    assert is_decoded(encoded(noisy(), "WEBP", xmp=_NOISE[: 2**23]))
