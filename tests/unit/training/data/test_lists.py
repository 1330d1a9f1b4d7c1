"""Lists of images and labels: which columns they have, what they may name, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.config import Config
from training.data.disk import DiskSource
from training.data.folder import scan
from training.data.labelled import Labelled
from training.data.locations import locate, sources
from training.errors import DataError, UsageError


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding, newline="")
    return path


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def read(path: Path, **options: str) -> Labelled:
    found = sources(Config(data=str(path), **options))["train"]  # type: ignore[arg-type]
    assert isinstance(found, Labelled)
    return found


def labels(source: Labelled) -> dict[str, str]:
    return {sample.file: sample.label for sample in source.samples}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_list_is_read_as_any_program_saves_it(tmp_path: Path, encoding: str, separator: str) -> None:
    """Kind: the words, separators and encodings of spreadsheets and operating systems all mean the same."""
    touch(tmp_path, "a/1.png", "b/é.png")
    rows = [[" File_Name", "width", "LABEL "], ["a\\1.png", "20", "red"], ["./b/é.png", "20", " blau "], []]
    text = "".join(separator.join(row) + "\r\n" for row in rows)
    assert labels(read(write(tmp_path / "list.CSV", text, encoding))) == {"a/1.png": "red", "b/é.png": "blau"}


def test_json_lines_may_hold_numbers_for_labels(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png")
    rows = [{"image": "1.png", "label": 7, "caption": "a\u2028b"}, {"image": "2.png", "label": "cat"}]
    text = "\r\n\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    assert labels(read(write(tmp_path / "list.jsonl", text))) == {"1.png": "7", "2.png": "cat"}


def test_files_that_are_missing_or_have_no_label_are_left_out_with_their_reason(tmp_path: Path) -> None:
    """Kind: a file that can't be used is counted and listed, as in a folder."""
    touch(tmp_path, "1.png", "2.png", "3.png")
    text = "path,label\n1.png,red\n2.png,blue\n3.png,\n4.png,red\n1.png,red\n"
    found = read(write(tmp_path / "list.csv", text))
    assert labels(found) == {"1.png": "red", "2.png": "blue"}
    assert [(r.file, r.code) for r in scan(found).rejected] == [("3.png", "unlabelled"), ("4.png", "missing")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "l.csv",
            "",
            "l.csv lacks a column for the path (path, file_name, filename, file, image) and a column for the ",
        ),
        (
            "l.csv",
            "id,path\n1,1.png\n",
            "a column for the label (label, class, cls, class_name); its first line has id, path",
        ),
        ("l.csv", "1.png,red\n", "its first line has 1.png, red"),
        (
            "l.csv",
            "path,file,label\n1.png,1.png,red\n",
            "the columns path and file both stand for the path; rename one",
        ),
        ("l.csv", "path,label\n1.png,red\n./1.png,blue\n", "line 3: 1.png is blue, but red in line 2; keep one"),
        (
            "l.csv",
            "path,label,group\n1.png,a,g\n1.png,a,h\n",
            "line 3: 1.png is a of group h, but a of group g in line 2",
        ),
        ("l.csv", "path,label\n", "l.csv lists no images"),
        ("l.csv", "path,label\n,red\n", "line 2: the path is missing"),
        ("l.csv", "path,label\n9.png,red\n8.png,a\n", "none of the 2 files is in"),
        ("l.csv", "path,label\n1.png,\n", "has no label for any image"),
        ("l.csv", "path,label\n../1.png,red\n", "line 2: '../1.png' is outside of"),
        ("l.csv", "path,label\na/../../1.png,red\n", "is outside of"),
        ("l.csv", "path,label\n/etc/passwd,red\n", "line 2: '/etc/passwd' is outside of"),
        ("l.csv", "path,label\n1.png,re\x07d\n", "line 2: the label 're\\x07d' can't be a name"),
        (
            "l.csv",
            "path,label,part\n1.png,red,half\n",
            "line 2: the part is 'half', not one of train, validation, test",
        ),
        ("l.csv", 'path,label\n"1.png,red\n' + "x" * 200_000, "field larger than field limit"),
        ("l.jsonl", '{"path": "1.png", "label": "red"}\n[1]\n', "line 2 is no JSON object"),
        ("l.jsonl", '{"path": "1.png", "label": "red"}\n{"path"\n', "line 2 is no JSON object"),
        (
            "l.jsonl",
            '{"path": "1.png", "label": 0.5}\n',
            "line 1: the label is '0.5'; it must be a text or a whole number",
        ),
        ("l.jsonl", '{"path": {"bytes": 1}, "label": 1}\n', "line 1: the path is missing"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    """Kind: a mistake in a list is told with its line, and what to do."""
    touch(tmp_path, "1.png")
    with pytest.raises(DataError) as caught:
        read(write(tmp_path / name, text))
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_label_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "1.png")
    (tmp_path / "l.csv").write_bytes(b"path;label\n1.png;B\xe4r\n")
    with pytest.raises(DataError, match=r"line 2: the label B\\xe4r isn't UTF-8; save the file as UTF-8"):
        read(tmp_path / "l.csv")


def test_no_message_repeats_a_url_that_may_hold_a_secret(tmp_path: Path) -> None:
    touch(tmp_path, "1.png")
    with pytest.raises(DataError, match=r"line 2: the path is a URL \(https://...\)") as caught:
        read(write(tmp_path / "l.csv", "path,label\nhttps://user:hunter2@host/1.png,red\n"))
    assert "hunter2" not in str(caught.value)


def test_paths_begin_in_the_images_root_and_stay_there(tmp_path: Path) -> None:
    """Kind: a list from elsewhere can't name any file of this machine, unless its user says where files may be."""
    touch(tmp_path / "images", "1.png", "2.png")
    (tmp_path / "link").symlink_to("images")
    lines = f"1.png,red\n{tmp_path / 'images' / '2.png'},blue\n"
    path = write(tmp_path / "lists.csv", "path,label\n" + lines)
    for root in ("images", "link"):
        assert labels(read(path, images_root=str(tmp_path / root))) == {"1.png": "red", "2.png": "blue"}
    with pytest.raises(DataError, match="is outside of"):
        read(write(path, "path,label\n../lists.csv,red\n"), images_root=str(tmp_path / "images"))
    with pytest.raises(UsageError, match="--images-root is for lists of images, and none is given"):
        sources(Config(data=str(tmp_path / "images"), images_root=str(tmp_path)))


def test_columns_give_parts_and_groups(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{i}.png" for i in range(4)))
    rows = [
        ("0", "red", "p1", "train"),
        ("1", "blue", "p2", "TRAIN"),
        ("2", "red", "", "val"),
        ("3", "red", "p3", "dev"),
    ]
    text = "path,label,group,split\n" + "".join(f"{i}.png,{','.join(row)}\n" for i, *row in rows)
    found = sources(Config(data=str(write(tmp_path / "l.csv", text))))
    assert {part: len(source.samples) for part, source in found.items() if isinstance(source, Labelled)} == {
        "train": 2,
        "validation": 2,
    }
    assert scan(found["train"]).groups == ["p1", "p2"]
    assert scan(found["validation"], ["blue", "red"]).groups == [None, "p3"]
    own = sources(Config(data=str(tmp_path / "l.csv"), validation_data=str(tmp_path / "l.csv")))["validation"]
    assert isinstance(own, Labelled)
    assert len(own.samples) == 2
    for wrong, message in (
        (text.replace(",dev", ","), "no part"),
        (text.replace(",train", ",test").replace("TRAIN", "test"), "none for train"),
    ):
        with pytest.raises(DataError, match=message):
            sources(Config(data=str(write(tmp_path / "wrong.csv", wrong))))


def test_paths_below_folders_called_like_parts_give_the_parts(tmp_path: Path) -> None:
    names = [f"{part}/{label}/1.png" for part in ("train", "test") for label in ("red", "blue")]
    touch(tmp_path, *names)
    text = "path,label\n" + "".join(f"{name},{name.split('/')[1]}\n" for name in names)
    assert list(sources(Config(data=str(write(tmp_path / "l.csv", text))))) == ["train", "test"]
    classes = "path,label\n" + "".join(f"{name},{name.split('/')[0]}\n" for name in names)
    assert list(sources(Config(data=str(write(tmp_path / "l.csv", classes))))) == ["train"]


def test_a_list_beside_the_images_is_found(tmp_path: Path) -> None:
    """Kind: Hugging Face's ImageFolder, whole or in a folder for each part."""
    touch(tmp_path, "train/1.png", "train/2.png", "test/1.png")
    write(tmp_path / "train" / "metadata.csv", "file_name,label\n1.png,red\n2.png,blue\n")
    write(tmp_path / "test" / "metadata.jsonl", '{"file_name": "1.png", "label": "red"}\n')
    assert labels(read(tmp_path / "train")) == {"1.png": "red", "2.png": "blue"}
    assert read(tmp_path / "train").name == tmp_path.name + "/train"
    assert list(sources(Config(data=str(tmp_path)))) == ["train", "test"]


def test_metadata_without_labels_leaves_the_classes_to_the_folders(tmp_path: Path) -> None:
    touch(tmp_path, "red/1.png", "blue/1.png")
    write(tmp_path / "metadata.csv", "file_name,text\nred/1.png,a ball\n")
    assert sources(Config(data=str(tmp_path)))["train"] == DiskSource(tmp_path)
    text = "file_name,label\nred/1.png,ball\nblue/1.png,cube\n"
    assert labels(read(write(tmp_path / "metadata.csv", text).parent)) == {"red/1.png": "ball", "blue/1.png": "cube"}
    assert sources(Config(data=str(tmp_path), layout="classes"))["train"] == DiskSource(tmp_path)


def test_naming_the_data_reads_nothing() -> None:
    names = {
        "s3://photos/sets/cats.csv": "cats",
        "a/b.jsonl": "b",
        "a/cats.tar.gz": "cats",
        "s3://bucket/c-{0..12}.tar": "c",
    }
    assert {text: locate(text).name for text in names} == names
    assert str(locate("cats.csv")) == "cats.csv"
    assert str(locate("s3://photos/sets/cats.csv")) == "s3://photos/sets/cats.csv"
