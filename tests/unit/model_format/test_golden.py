"""The golden set on disk: what is written is read again, and a damaged set is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_format import golden
from model_format.errors import FormatError
from model_format.golden import GoldenImage
from tests.stored import SCHEMA_1

IMAGES = [GoldenImage("00.png", b"first", "café", 0.75), GoldenImage("01.png", b"second", "thé", 1.0)]


def test_a_set_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = golden.folder_of(tmp_path / "entry")
    assert not golden.is_in(tmp_path / "entry")
    golden.write(folder, IMAGES)
    assert golden.is_in(tmp_path / "entry")
    assert golden.read(folder) == IMAGES


def test_a_set_is_a_list_of_names_classes_and_confidences_beside_the_images(tmp_path: Path) -> None:
    golden.write(tmp_path / "golden", IMAGES)
    assert (tmp_path / "golden/01.png").read_bytes() == b"second"
    assert json.loads((tmp_path / "golden/golden.json").read_text(encoding="utf-8")) == [
        {"file": "00.png", "class": "café", "confidence": 0.75},
        {"file": "01.png", "class": "thé", "confidence": 1.0},
    ]


def test_the_set_of_an_older_training_is_read() -> None:
    images = golden.read(golden.folder_of(SCHEMA_1))
    assert [image.class_name for image in images] == ["blue", "green", "red"]
    assert all(image.image.startswith(b"\x89PNG") and 0.9 < image.confidence <= 1 for image in images)


def test_an_empty_set_can_be_stored(tmp_path: Path) -> None:
    golden.write(tmp_path, [])
    assert golden.read(tmp_path) == []


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (None, "'golden.json' is missing"),
        (b"{", "golden.json can't be read: Expecting"),
        (b"3", "golden.json can't be read: "),
        (b'[{"file": "other.png", "class": "cat", "confidence": 1}]', "'other.png' is missing"),
        (b'[{"file": "../00.png", "class": "cat", "confidence": 1}]', "'../00.png' is missing"),
        (b'[{"file": "00.png", "confidence": 1}]', "'class' is missing"),
        (b'[{"file": "00.png", "class": "cat", "confidence": "high"}]', "golden.json can't be read: "),
    ],
)
def test_a_damaged_set_is_refused_in_one_line(tmp_path: Path, index: bytes | None, reason: str) -> None:
    (tmp_path / "00.png").write_bytes(b"image")
    if index is not None:
        (tmp_path / "golden.json").write_bytes(index)
    with pytest.raises(FormatError) as caught:
        golden.read(tmp_path)
    assert str(caught.value).startswith(f"golden set {tmp_path}: {reason}")
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_refused_in_one_line() -> None:
    with pytest.raises(FormatError, match=r"^golden set nowhere: No such file or directory$"):
        golden.read(Path("nowhere"))
