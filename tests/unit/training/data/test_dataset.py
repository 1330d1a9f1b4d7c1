"""What `load` makes of folders as people have them: data sets that are divided already, small classes, groups."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.folders import write_tree
from training.config import Config
from training.data.dataset import Dataset, load, load_whole
from training.errors import DataError, UsageError


def load_folder(root: Path, data: Path, **options: Any) -> Dataset:
    return load(Config(data=str(data), cache_dir=str(root / "cache"), decoders=1, image_size=8, **options))


def splits(data: Dataset) -> dict[str, dict[str, int]]:
    return data.summary["splits"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "val", "test"),
        ("Training", "valid", "TESTING"),
        ("training_set", "dev", "test_set"),
        ("TRAIN_SET", "Validation", "test-images"),
        ("train", None, "test"),
        ("training_set/training_set", None, "test_set/test_set"),
        ("train", "validation", None),
        ("train", None, None),
    ],
)
def test_the_parts_of_a_divided_data_set_are_used_as_such_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, train: str, validation: str | None, test: str | None
) -> None:
    """Kind: folders that are parts of a data set must never become its classes, whatever they are called."""
    caplog.set_level("INFO")
    root = tmp_path / "pets"
    write_tree(root / train, {"red": 10, "blue": 10}, seed=1)
    if validation:
        write_tree(root / validation, {"red": 3, "blue": 4}, seed=2)
    if test:
        write_tree(root / test, {"red": 5, "blue": 6}, seed=3)
    data = load_folder(tmp_path, root)
    assert data.class_names == ["blue", "red"]
    assert data.summary["name"] == "pets"
    assert "pets is divided already" in caplog.text
    found = splits(data)
    assert list(found) == ["train", "validation", "test"]
    assert found["validation"] == ({"blue": 4, "red": 3} if validation else {"blue": 1, "red": 1})
    assert found["test"] == ({"blue": 6, "red": 5} if test else {"blue": 1, "red": 1})


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["train", "test", "extra"], r"\(extra, test, train\), not classes.*--data \S*/train --test-data \S*/test"),
        (["train", "training"], "not classes"),
        (["test", "val"], r"not classes.*--validation-data \S*/val --test-data \S*/test"),
        (["batch1", "batch2"], r"\(batch1, batch2\) have the same sub-folders \(blue, red\)"),
    ],
)
def test_parts_that_cannot_be_told_apart_are_refused_with_the_options_to_give(
    tmp_path: Path, folders: list[str], message: str
) -> None:
    """Kind: as above, where the names don't say which part is which."""
    for seed, folder in enumerate(folders):
        write_tree(tmp_path / "data" / folder, {"red": 5, "blue": 5}, seed=seed)
    with pytest.raises(DataError, match=message) as caught:
        load_folder(tmp_path, tmp_path / "data")
    assert "--layout classes" in str(caught.value)
    assert load_folder(tmp_path, tmp_path / "data", layout="classes").class_names == sorted(folders)


def test_classes_with_the_name_of_a_part_stay_classes(tmp_path: Path) -> None:
    """A data set of vehicles has a class "train", whose folder holds images and not classes."""
    write_tree(tmp_path / "data", {"red": 5, "blue": 5})
    (tmp_path / "data" / "red").rename(tmp_path / "data" / "train")
    assert load_folder(tmp_path, tmp_path / "data").class_names == ["blue", "train"]


def test_a_part_without_class_folders_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path / "data" / "train", {"red": 5, "blue": 5})
    write_tree(tmp_path / "data", {"red": 5})
    (tmp_path / "data" / "red").rename(tmp_path / "data" / "test")
    with pytest.raises(DataError, match=r"data set \(test, train\), not classes"):
        load_folder(tmp_path, tmp_path / "data")


def test_separate_validation_images_are_used_for_validation_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_tree(tmp_path / "data", {"red": 10, "blue": 10})
    write_tree(tmp_path / "other", {"red": 4, "blue": 4}, seed=7)
    shutil.copy(tmp_path / "data" / "red" / "003.gif", tmp_path / "other" / "red" / "leak.gif")
    data = load_folder(tmp_path, tmp_path / "data", validation_data=str(tmp_path / "other"))
    assert splits(data) == {
        "train": {"blue": 9, "red": 8},
        "validation": {"blue": 4, "red": 5},
        "test": {"blue": 1, "red": 1},
    }
    assert data.summary["leaked"] == 1
    assert "1 training images are also in the validation folder" in caplog.text
    assert data.folders["validation"].source.name == "other"


def test_refitting_leaves_out_validation_images_of_their_own_folder(tmp_path: Path) -> None:
    write_tree(tmp_path / "data", {"red": 10, "blue": 10})
    write_tree(tmp_path / "other", {"red": 4, "blue": 4}, seed=7)
    options = {"validation_data": str(tmp_path / "other"), "refit": True}
    assert list(load_folder(tmp_path, tmp_path / "data", **options).parts) == ["train", "test"]


def test_checks_name_each_folder_by_its_option(tmp_path: Path) -> None:
    for seed, part in enumerate(("train", "val", "test")):
        write_tree(tmp_path / "data" / part, {"red": 4, "blue": 4}, seed=seed)
    config = Config(data=str(tmp_path / "data"), cache_dir=str(tmp_path / "cache"), decoders=1, image_size=8)
    assert list(load_whole(config)) == ["data", "validation-data", "test-data"]
    assert list(
        load_whole(Config(data=f"{config.data}/train", cache_dir=config.cache_dir, decoders=1, image_size=8))
    ) == ["data"]


def test_all_classes_with_too_few_images_are_named_at_once_and_left_out_on_demand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_tree(tmp_path / "data", {"red": 12, "green": 12, "blue": 2})
    write_tree(tmp_path / "one", {"red": 1}, seed=4)
    (tmp_path / "one" / "red").rename(root / "white")
    with pytest.raises(DataError, match=r"class 'blue' has 2, 'white' has 1; each needs 3, .* --min-images 3"):
        load_folder(tmp_path, root)
    data = load_folder(tmp_path, root, min_images=3)
    assert data.class_names == ["green", "red"]
    assert splits(data)["train"] == {"green": 10, "red": 10}
    assert "classes with fewer than 3 images are left out: blue (2), white (1)" in caplog.text
    names = {data.folders["train"].files[row].split("/")[0]: label for row, label in labelled(data)}
    assert names == {"green": 0, "red": 1}


def labelled(data: Dataset) -> list[tuple[int, int]]:
    part = data.parts["train"]
    return list(zip(part.rows.tolist(), part.labels.tolist(), strict=True))


def test_one_class_that_is_large_enough_is_not_enough(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", {"red": 12, "blue": 2})
    with pytest.raises(DataError, match=r"has one class only \(red\)"):
        load_folder(tmp_path, root, min_images=3)


@pytest.mark.parametrize(("group", "name"), [("folder", "{clip}/{i}.png"), (r"/(clip\d+)_", "{clip}_{i}.png")])
def test_the_images_of_a_group_stay_in_one_part(tmp_path: Path, group: str, name: str) -> None:
    """Kind: frames of one clip, or images of one patient, must not be on both sides of a split."""
    root = tmp_path / "data"
    write_tree(tmp_path / "made", {"red": 40, "blue": 40})
    for colour in ("red", "blue"):
        for i, file in enumerate(sorted((tmp_path / "made" / colour).iterdir())):
            target = root / colour / name.format(clip=f"clip{i // 4}", i=i)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.rename(target)
    data = load_folder(tmp_path, root, group=group)
    clips = {
        part: {clip_of(data.folders[part].files[row]) for row in data.parts[part].rows} for part in ("train", "test")
    }
    assert len(clips["test"]) == 1
    assert not clips["train"] & clips["test"]
    assert {part: len(images) for part, images in data.parts.items()} == {"train": 64, "validation": 8, "test": 8}
    plain = load_folder(tmp_path, root, layout="classes")
    mixed = {clip_of(plain.folders["train"].files[row]) for row in plain.parts["train"].rows}
    assert len(mixed) == 10


@pytest.mark.parametrize(("given", "other"), [("test_data", "test"), ("validation_data", "validation")])
def test_a_group_in_two_folders_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, given: str, other: str
) -> None:
    """Kind: images of one patient are on both sides of a split that the user has made."""
    for part, seed, patients in (("train", 1, range(6)), ("others", 2, range(4, 10))):
        for patient in patients:
            made = write_tree(tmp_path / "made", {"red": 1, "blue": 1}, seed=10 * seed + patient)
            for colour in ("red", "blue"):
                target = tmp_path / part / colour / f"patient{patient}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                (made / colour / "000.png").rename(target)
    options: dict[str, Any] = {given: str(tmp_path / "others")}
    load_folder(tmp_path, tmp_path / "train", group=r"(patient\d+)", **options)
    said = f"2 groups are in both the training and the {other} folder (patient4, patient5)"
    assert [message for message in caplog.messages if message.startswith(said)]
    caplog.clear()
    load_folder(tmp_path, tmp_path / "train", **options)
    assert "groups" not in caplog.text


def clip_of(file: str) -> str:
    return file[file.index("clip") :].replace("/", "_").split("_")[0]


def test_groups_that_no_file_has_or_that_leave_no_part_are_refused(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", {"red": 12, "blue": 12})
    with pytest.raises(DataError, match=r"--group folder finds no group in any file's path, such as blue/000\.png"):
        load_folder(tmp_path, root, group="folder")
    with pytest.raises(DataError, match=r"class 'blue' has 1, 'red' has 1"):
        load_folder(tmp_path, root, group=".")
    with pytest.raises(UsageError, match=r"--group is '\(', which is no regular expression"):
        load_folder(tmp_path, root, group="(")


def test_the_parts_do_not_depend_on_the_options_that_are_not_given(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", {"red": 12, "blue": 12})
    data = load_folder(tmp_path, root)
    assert np.array_equal(data.parts["test"].rows, load_folder(tmp_path, root, min_images=1).parts["test"].rows)
    assert data.summary["fingerprint"] == load_folder(tmp_path, root, layout="classes").summary["fingerprint"]


@pytest.mark.parametrize("size", [8, 16])
def test_the_parts_and_their_order_depend_on_the_images_and_not_on_their_names(tmp_path: Path, size: int) -> None:
    """Kind: the same images give the same model, however they come: renamed, in a list, in shards."""
    write_tree(tmp_path / "one", {"red": 30, "blue": 24})
    for colour in ("red", "blue"):
        for i, file in enumerate(sorted((tmp_path / "one" / colour).iterdir(), reverse=True)):
            target = tmp_path / "other" / colour / f"{i % 3}" / f"{i:04}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    sized = {"cache_dir": str(tmp_path / "cache"), "image_size": size, "decoders": 1, "layout": "classes"}
    one, other = (load(Config(data=str(tmp_path / name), **sized)) for name in ("one", "other"))  # type: ignore[arg-type]
    assert one.summary["fingerprint"] == other.summary["fingerprint"]
    for part in ("train", "validation", "test"):
        assert (one.parts[part][:] == other.parts[part][:]).all()
        assert (one.parts[part].labels == other.parts[part].labels).all()
