"""Names, sizes, outliers and the list of suspects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.checked import collection, photos, source
from tests.folders import write_tree
from tests.reports import checks
from training.checks import majority, names, outliers, sizes
from training.checks.collection import CheckedPart, Collection
from training.config import Config
from training.data import dataset, exclusions
from training.data.exclusions import Suspect
from training.errors import UsageError
from training.report.check_document import DoubtfulLabel, Labels
from training.report.pictures.checks import of_checks


def named(files: list[str], class_names: list[str]) -> Collection:
    labels = np.array([class_names.index(file.split("/")[0]) for file in files])
    return collection(np.zeros((len(files), 8, 8, 3), np.uint8), labels, class_names, files)


def test_the_name_of_another_class_is_found_as_a_word() -> None:
    files = ["cat/dog_01.png", "cat/IMG1.png", "cat/old/dog/2.png", "dog/hotdogs.png", "dog/my_dog.png", "cat/Dog7.png"]
    section, found = names.find(named(files, ["cat", "dog"]), seed=0)
    assert [suspect.sample for suspect in found] == [0, 2, 5]
    assert (section["other_class"], section["own_class"]) == (3, 1)
    assert section["listed"][0] == {"file": "cat/dog_01.png", "part": "data", "class": "cat", "named": "dog"}


def test_parts_of_the_own_class_name_and_numbers_are_not_reported() -> None:
    files = ["polar bear/bear1.png", "cow/polar-bear-2.png", "7/0003.png", "3/7.png"]
    _, found = names.find(named(files, ["3", "7", "bear", "cow", "polar bear"]), seed=0)
    assert [suspect.sample for suspect in found] == [1]
    assert found[0].action == "perhaps move to polar bear"


@pytest.mark.parametrize(
    ("cat", "dog", "by"),
    [
        ("IMG_{:04}.jpg", "DSC{:05}.jpg", {"pattern", "prefix"}),
        ("{:04}.jpg", "{:04}.png", {"extension"}),
        ("cat.{:04}.jpg", "dog.{:04}.jpg", set()),
        ("{:04}.jpg", "{:04}.jpg", set()),
    ],
)
def test_a_name_pattern_that_reveals_the_class_is_reported(cat: str, dog: str, by: set[str]) -> None:
    files = [f"cat/{cat.format(i)}" for i in range(60)] + [f"dog/{dog.format(i)}" for i in range(60)]
    section, _ = names.find(named(files, ["cat", "dog"]), seed=0)
    assert {telling["by"] for telling in section["telling"]} == by


def test_consecutive_numbers_reveal_the_class() -> None:
    files = [f"cat/{i}.png" for i in range(300)] + [f"dog/{i}.png" for i in range(300, 600)]
    section, _ = names.find(named(files, ["cat", "dog"]), seed=0)
    assert "number" in {telling["by"] for telling in section["telling"]}


def test_a_name_that_is_not_utf8_is_read_like_any_other() -> None:
    section, found = names.find(named(["cat/dog_\udcff.png", "dog/x.png"], ["cat", "dog"]), seed=0)
    assert [suspect.sample for suspect in found] == [0]
    assert section["listed"][0]["file"] == "cat/dog_\\xff.png"


def test_unique_values_predict_nothing() -> None:
    labels = np.array([0, 1] * 50)
    right, guessing = majority.accuracy(list(range(100)), labels, seed=0)
    assert not majority.predicts((right, guessing))
    assert majority.accuracy(["a", "b"] * 50, labels, seed=0) == (1.0, 0.5)


def test_a_format_or_size_that_reveals_the_class_is_reported(tmp_path: Path) -> None:
    for label, (name, suffix, side) in enumerate([("cat", "png", 20), ("dog", "jpg", 50)]):
        (tmp_path / name).mkdir()
        for i in range(20):
            pixels = photos(1, side, seed=100 * label + i)[0]
            Image.fromarray(pixels).convert("L" if i % 2 else "RGB").save(tmp_path / name / f"{i}.{suffix}")
    config = Config(data=str(tmp_path), backbone="none", cache_dir=str(tmp_path / ".cache"), decoders=1)
    part, folder = dataset.load_whole(config)["data"]
    section = sizes.describe(Collection(folder.class_names, [CheckedPart("data", part, folder, "data")]), seed=0)
    assert {telling["by"] for telling in section["telling"]} >= {"format", "width and height"}
    assert "mode" not in {telling["by"] for telling in section["telling"]}
    assert section["formats"] == {"PNG": 20, "JPEG": 20}
    assert section["modes"] == {"RGB": 20, "L": 20}
    assert (section["width"], section["enlarged"]) == ({"least": 20, "median": 35, "most": 50}, 0.5)
    assert section["classes"]["dog"]["height"] == 50


def test_removed_files_are_left_out_of_the_sizes() -> None:
    section = sizes.describe(collection(photos(4), np.array([0, 0, 1, 1]), ["a", "b"]), seed=0)
    assert (section["sampled"], section["width"], section["telling"]) == (0, None, [])
    assert section["classes"]["a"]["bytes"] == 1000


def test_an_image_unlike_its_class_and_one_of_one_colour_are_found() -> None:
    rng = np.random.default_rng(0)
    base = photos(2)
    pixels = np.stack([np.clip(base[i % 2] + rng.normal(0, 12, (32, 32, 3)), 0, 255) for i in range(120)])
    pixels[10], pixels[21] = base[1], 90  # a dog among the cats, and an image of one colour
    labels = np.arange(120) % 2
    section, found, listed = outliers.find(collection(pixels.astype(np.uint8), labels, ["cat", "dog"]), seed=0)
    assert (section["far"], section["one_colour"], section["too_small"]) == (1, 1, [])
    assert listed.tolist() == [10, 21]
    assert [(suspect.sample, suspect.problem) for suspect in found] == [(10, "outlier"), (21, "one colour")]


def test_a_small_class_has_no_outliers() -> None:
    pixels = np.concatenate([photos(40), photos(2, seed=1)])
    section, _, _ = outliers.find(collection(pixels, np.array([0] * 40 + [1] * 2), ["many", "few"]), seed=0)
    assert section["too_small"] == ["few"]


def test_a_list_keeps_every_name_and_reads_back(tmp_path: Path) -> None:
    hostile = ["cat/=cmd.png", 'cat/a,b\n"c".png', "cat/\udcff.png", "cat/ü.png"]
    rows = [(name, "data", Suspect(i, "label", "move to dog", "looks like dog")) for i, name in enumerate(hostile)]
    rows.append(("cat/1.png", "test-data", Suspect(4, "duplicate", "leave out", "copy of x")))
    assert exclusions.write(tmp_path / "list.csv", rows) == 5
    assert exclusions.read(tmp_path / "list.csv") == {
        "data": set(hostile),
        "validation-data": set(),
        "test-data": {"cat/1.png"},
    }
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]
    assert not any(line.startswith(b"=") for line in (tmp_path / "list.csv").read_bytes().splitlines())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        ("name\nx.png\n", "has no column `file`"),
        ("", "has no column `file`"),
        ("file,in\nx.png,train\n", "line 2: `in` is 'train', not one of data, validation-data, test-data"),
    ],
)
def test_a_file_that_is_not_a_list_is_refused_in_one_line(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "list.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        exclusions.read(path)
    assert "\n" not in str(caught.value)


def test_listed_files_are_left_out_of_the_data(tmp_path: Path) -> None:
    write_tree(tmp_path / "data", {"red": 8, "blue": 8})
    (tmp_path / "list.csv").write_text("file\nred/000.png\n./blue/001.jpg\nblue/gone.png\n")
    config = Config(
        data=str(tmp_path / "data"),
        backbone="none",
        cache_dir=str(tmp_path / "cache"),
        exclude=str(tmp_path / "list.csv"),
    )
    data = dataset.load(config)
    assert (data.summary["images"], data.summary["excluded"]) == (14, 2)
    used = {data.folders[name].files[row] for name, part in data.parts.items() for row in part.rows}
    assert {"red/000.png", "blue/001.jpg"} & used == set()
    assert len(used) == 14


def test_only_problems_that_were_found_get_a_picture() -> None:
    images = Collection(["cat", "dog"], [source("data", photos(3), np.array([0, 0, 1]), ["cat", "dog"])])
    none = np.empty(0, np.int64)
    doubt = DoubtfulLabel("cat/001.png", "data", "cat", suggested="dog", confidence=0.9, self_confidence=0.1)
    labels = Labels(images=3, accuracy=1.0, noise=0.1, suspects=1, too_small=[], listed=[doubt])
    section = replace(checks(images.class_names), labels=labels)
    assert of_checks(images, section, [], none, none, images.class_names) == {}
    drawn = of_checks(images, section, [], np.array([1]), none, images.class_names)
    assert list(drawn) == ["doubtful_labels"]
    assert drawn["doubtful_labels"].startswith(b"\x89PNG")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_list_that_a_spreadsheet_saved_is_read(tmp_path: Path, encoding: str, separator: str) -> None:
    """The kind: a file of ours is refused once a common program has saved it."""
    path = tmp_path / "suspects.csv"
    rows = [["file", "in", "why"], ["./cat/é.png", "data", "copy"], ["./dog/1.png", "test-data", "copy"]]
    path.write_text("".join(separator.join(row) + "\r\n" for row in rows), encoding=encoding, newline="")
    assert exclusions.read(path)["data"] == {"cat/é.png"}
    assert exclusions.read(path)["test-data"] == {"dog/1.png"}
