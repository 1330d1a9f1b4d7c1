from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.folders import write_tree
from training.data.disk import DiskSource
from training.data.folder import scan
from training.errors import DataError


def test_classes_are_the_sorted_folders_with_files_at_any_depth(tmp_path: Path) -> None:
    write_tree(tmp_path, {"red": 2, "blue": 1})
    write_tree(tmp_path / "red" / "patient 1", {"green": 1})
    folder = scan(DiskSource(tmp_path))
    assert folder.class_names == ["blue", "red"]
    assert folder.files == ["blue/000.png", "red/000.png", "red/001.jpg", "red/patient 1/green/000.png"]
    assert folder.labels == [0, 1, 1, 1]


def test_hidden_files_and_folders_are_ignored(tmp_path: Path) -> None:
    write_tree(tmp_path, {"red": 1, "blue": 1})
    (tmp_path / ".git").mkdir()
    (tmp_path / "red" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "red" / ".cache").mkdir()
    (tmp_path / "red" / ".cache" / "a.png").write_bytes(b"x")
    assert len(scan(DiskSource(tmp_path)).files) == 2


def test_a_file_that_is_no_image_beside_the_classes_is_listed_as_foreign(tmp_path: Path) -> None:
    write_tree(tmp_path, {"red": 1, "blue": 1})
    (tmp_path / "labels.csv").write_text("a,b")
    assert [(r.file, r.code) for r in scan(DiskSource(tmp_path)).rejected] == [("labels.csv", "foreign")]


def test_links_are_followed_without_loops_and_pipes_are_never_read(tmp_path: Path) -> None:
    write_tree(tmp_path / "data", {"red": 1})
    write_tree(tmp_path / "elsewhere", {"blue": 2})
    (tmp_path / "data" / "blue").symlink_to(tmp_path / "elsewhere" / "blue")
    (tmp_path / "data" / "red" / "up").symlink_to(tmp_path / "data" / "red")
    os.mkfifo(tmp_path / "data" / "red" / "pipe")
    (tmp_path / "data" / "red" / "gone.png").symlink_to(tmp_path / "gone.png")
    files = scan(DiskSource(tmp_path / "data")).files
    assert files == ["blue/000.png", "blue/001.jpg", "red/000.png", "red/gone.png"]


def make_nothing(root: Path) -> None:
    pass


def make_file(root: Path) -> None:
    root.write_text("x")


def make_empty(root: Path) -> None:
    root.mkdir()


def make_loose_images(root: Path) -> None:
    write_tree(root, {"red": 2})
    for file in (root / "red").iterdir():
        file.rename(root / file.name)
    (root / "red").rmdir()


def make_mixture(root: Path) -> None:
    write_tree(root, {"red": 2, "blue": 1})
    (root / "red" / "000.png").rename(root / "photo-without-extension")


def make_parts(root: Path) -> None:
    write_tree(root / "train", {"red": 1, "blue": 1})
    write_tree(root / "Test", {"red": 1, "blue": 1})


def make_empty_classes(root: Path) -> None:
    (root / "red").mkdir(parents=True)
    (root / "blue").mkdir()


def make_bad_class_name(root: Path) -> None:
    write_tree(root, {"red": 1})
    os.mkdir(os.fsencode(root) + b"/caf\xe9")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_nothing, "no such folder"),
        (make_file, "is a file"),
        (make_empty, "has no folders"),
        (make_loose_images, "holds images but no folders"),
        (make_mixture, r"mixes class folders with loose images \(photo-without-extension, 1 in all\)"),
        (make_parts, r"holds parts of a data set \(Test, train\), not classes"),
        (make_empty_classes, r"has class folders \(blue, red\) but no images"),
        (make_bad_class_name, "name that isn't UTF-8"),
    ],
)
def test_a_folder_that_cannot_be_trained_on_is_refused_in_one_line(tmp_path: Path, make: object, message: str) -> None:
    root = tmp_path / "data"
    make(root)  # type: ignore[operator]
    with pytest.raises(DataError, match=message) as caught:
        scan(DiskSource(root))
    assert "\n" not in str(caught.value)
    assert str(root) in str(caught.value)


def test_a_test_folder_with_an_unknown_class_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path, {"red": 1, "green": 1})
    with pytest.raises(DataError, match="green is no class of the training data"):
        scan(DiskSource(tmp_path), ["blue", "red"])
    assert scan(DiskSource(tmp_path), ["blue", "green", "red"]).labels == [1, 2]
