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


@pytest.mark.parametrize("junk", ["@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN", "lost+found"])
def test_what_systems_add_to_folders_is_passed_over_at_any_depth(tmp_path: Path, junk: str) -> None:
    """Kind: folders and files that no person put there are neither classes nor images, nor worth a word."""
    write_tree(tmp_path, {"red": 1, "blue": 1})
    for parent in (tmp_path, tmp_path / "red"):
        write_tree(parent / junk, {"green": 1})
        for file in ("Thumbs.db", "desktop.ini"):
            (parent / file).write_bytes(b"x")
    (tmp_path / "System Volume Information").mkdir()
    folder = scan(DiskSource(tmp_path))
    assert folder.class_names == ["blue", "red"]
    assert len(folder.files) == 2
    assert folder.rejected == []


def test_empty_class_folders_are_named_and_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tree(tmp_path, {"red": 1, "blue": 1})
    (tmp_path / "green" / "deep").mkdir(parents=True)
    (tmp_path / "green" / "Thumbs.db").write_bytes(b"x")
    assert scan(DiskSource(tmp_path)).class_names == ["blue", "red"]
    assert scan(DiskSource(tmp_path), ["red", "blue"]).labels == [1, 0]
    assert "folders without images are passed over: green" in caplog.text


@pytest.mark.parametrize(
    "entries",
    [["config.toml", "checkpoint/x"], ["report.html", "check.json"], ["report.html", "metrics.json", "a.png"]],
)
def test_the_folder_of_a_run_in_the_data_is_passed_over_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, entries: list[str]
) -> None:
    """Kind: the pictures of a report are no images of a class."""
    write_tree(tmp_path, {"red": 1, "blue": 1})
    for run in (tmp_path / "runs" / "1", tmp_path / "red" / "check", tmp_path / "check"):
        for name in entries:
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (run / name).write_bytes(b"x")
    folder = scan(DiskSource(tmp_path))
    assert (folder.class_names, len(folder.files)) == (["blue", "red"], 2)
    for name in ("runs/1", "red/check", "check"):
        assert f"{tmp_path / name} is passed over" in caplog.text


def test_one_class_in_two_spellings_of_unicode_is_one_class(tmp_path: Path) -> None:
    """Kind: names that look the same are the same: macOS writes NFD, other systems mostly NFC."""
    write_tree(tmp_path, {"red": 1, "blue": 1})
    (tmp_path / "red").rename(tmp_path / "cafe\u0301")
    folder = scan(DiskSource(tmp_path))
    assert folder.class_names == ["blue", "caf\xe9"]
    assert scan(DiskSource(tmp_path), ["caf\xe9", "blue"]).labels == [1, 0]
    assert scan(DiskSource(tmp_path), ["cafe\u0301", "blue"]).class_names == ["cafe\u0301", "blue"]
    write_tree(tmp_path, {"red": 1})
    (tmp_path / "red").rename(tmp_path / "caf\xe9")
    with pytest.raises(DataError, match="two folders called caf\xe9, spelt with different code points"):
        scan(DiskSource(tmp_path))


@pytest.mark.parametrize("target", ["red", "."])
def test_a_class_folder_that_is_a_link_to_another_is_refused(tmp_path: Path, target: str) -> None:
    """Kind: no image is found under two classes by way of a link."""
    write_tree(tmp_path, {"red": 1, "blue": 1})
    (tmp_path / "rot").symlink_to(target)
    with pytest.raises(DataError, match=r"has one folder under two names, .* and rot; remove the link"):
        scan(DiskSource(tmp_path))


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
