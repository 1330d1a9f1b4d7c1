from __future__ import annotations

import io
import time

import numpy as np
from PIL import Image, ImageEnhance

from tests.checked import collection, photos, source
from training.checks import duplicates
from training.checks.collection import Collection
from training.checks.hashes import difference_hashes, near_pairs
from training.checks.reduce import cell_weights, grids


def saved_anew(pixels: np.ndarray, quality: int = 60, side: int = 40) -> np.ndarray:
    """Return copies: resized, brighter and as JPEG, then decoded to the original size."""
    stream = io.BytesIO()
    image = ImageEnhance.Brightness(Image.fromarray(pixels).resize((side, side))).enhance(1.1)
    image.save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).resize(pixels.shape[:2]))


def test_cells_average_their_pixels_and_share_those_between_them() -> None:
    assert cell_weights(4, 2).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    np.testing.assert_allclose(cell_weights(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], rtol=1e-6)
    image = np.random.default_rng(0).integers(0, 256, (1, 12, 12, 3), dtype=np.uint8)
    expected = image.reshape(1, 4, 3, 4, 3, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(grids(image, 4, 4), expected, rtol=1e-5)


def test_close_hashes_are_found_among_many() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 20_000, dtype=np.uint64)
    copies = rng.permutation(10_000)[:200]
    for copy, bits in zip(copies, rng.integers(1, 8, 200), strict=True):
        flipped = rng.permutation(64)[:bits].astype(np.uint64)
        hashes[copy + 10_000] = hashes[copy] ^ np.bitwise_or.reduce(np.uint64(1) << flipped)
    started = time.perf_counter()
    pairs, ended_early = near_pairs(hashes, 7)
    assert time.perf_counter() - started < 30  # a search of all pairs takes minutes
    found = {(a, b) for a, b in pairs.tolist()}
    assert not ended_early
    assert {(copy, copy + 10_000) for copy in copies.tolist()} - found == set()
    assert all(np.bitwise_count(hashes[a] ^ hashes[b]) <= 7 for a, b in found)


def test_a_search_stops_early_if_all_images_are_alike() -> None:
    rng = np.random.default_rng(0)
    alike = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (2, 5_000), dtype=np.uint64))
    pairs, ended_early = near_pairs(alike, 7)
    assert ended_early
    assert len(pairs) <= 5_000 * 18  # of 12 million
    assert near_pairs(np.zeros(1, np.uint64), 7)[0].shape == (0, 2)


def test_copies_saved_again_are_found_and_other_images_are_not() -> None:
    originals = photos(150)
    copies = np.stack([saved_anew(one) for one in originals[:40]])
    pixels = np.concatenate([originals, copies])
    section, suspects, groups = duplicates.find(collection(pixels, np.zeros(190, int), ["a", "b"]))
    assert (section["near"], section["exact"], section["groups"], section["ended_early"]) == (40, 0, 40, False)
    assert [group.tolist() for group in groups] == [[i, i + 150] for i in range(40)]
    assert sorted(suspect.sample for suspect in suspects) == list(range(40))


def test_a_grey_version_of_an_image_is_a_copy_too() -> None:
    originals = photos(20)
    grey = np.asarray(Image.fromarray(originals[3]).convert("L").convert("RGB"))
    section, _, groups = duplicates.find(
        collection(np.concatenate([originals, grey[None]]), np.zeros(21, int), ["a", "b"])
    )
    assert [group.tolist() for group in groups] == [[3, 20]]
    assert not section["listed"][0]["equal"]


def test_images_of_one_colour_are_no_copies_of_each_other() -> None:
    levels = np.arange(0, 250, 5, dtype=np.uint8)
    flat = np.broadcast_to(levels[:, None, None, None], (50, 16, 16, 3)).copy()
    assert difference_hashes(flat)[1].all()
    section, suspects, groups = duplicates.find(collection(flat, np.zeros(50, int), ["a", "b"]))
    assert (section["groups"], suspects, groups) == (0, [], [])


def test_copies_across_parts_and_under_other_labels_come_first() -> None:
    pixels = photos(6)
    names = ["cat", "dog"]
    data = source("data", pixels[[0, 0, 1, 2, 3]], np.array([0, 0, 0, 1, 1]), names)
    test = source("test-data", np.stack([saved_anew(pixels[1]), pixels[3], pixels[4]]), np.array([1, 1, 0]), names)
    section, suspects, groups = duplicates.find(Collection(names, [data, test]))
    assert [group.tolist() for group in groups] == [[2, 5], [4, 6], [0, 1]]
    assert [one["several_labels"] for one in section["listed"]] == [True, False, False]
    assert (section["exact"], section["across_parts"], section["several_labels"]) == (2, 2, 1)
    # If an image is in both parts, the test image stays. If it has two labels, a person must decide.
    assert [(s.sample, s.problem) for s in suspects] == [
        (2, "several labels"),
        (5, "several labels"),
        (4, "duplicate"),
        (0, "duplicate"),
    ]
    assert section["listed"][0]["files"][1] == {"file": "dog/0000.png", "part": "test-data", "class": "dog"}
