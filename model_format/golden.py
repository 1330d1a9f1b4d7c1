"""The golden set: images of the test part, each with the answer that a deployed model must still give.

The set is a folder with an index, a JSON list of `{"file": "00.png", "class": "cat", "confidence": 0.98}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_format.errors import FormatError
from model_format.layout import GOLDEN_FOLDER, GOLDEN_INDEX


@dataclass(frozen=True)
class GoldenImage:
    """An image with the answer of the float32 ONNX form."""

    file: str
    """Its name in the folder."""
    image: bytes
    """The encoded image."""
    class_name: str
    confidence: float


def folder_of(entry: Path) -> Path:
    """Return the folder of the golden set in a store entry."""
    return entry / GOLDEN_FOLDER


def is_in(entry: Path) -> bool:
    """Return whether a store entry has a golden set."""
    return (folder_of(entry) / GOLDEN_INDEX).exists()


def write(folder: Path, images: Sequence[GoldenImage]) -> None:
    """Write the images and their index into `folder`, which is created if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        (folder / image.file).write_bytes(image.image)
    index = [{"file": image.file, "class": image.class_name, "confidence": image.confidence} for image in images]
    (folder / GOLDEN_INDEX).write_text(json.dumps(index, ensure_ascii=False, indent=1), encoding="utf-8")


def read(folder: Path) -> list[GoldenImage]:
    """Read the golden set in `folder`.

    Raises:
        FormatError: the folder can't be read, or holds no golden set.
    """
    try:
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    except OSError as error:
        raise FormatError(f"golden set {folder}: {error.strerror}") from error
    return parse(files, str(folder))


def parse(files: Mapping[str, bytes], where: str) -> list[GoldenImage]:
    """Return the golden set that is made of `files`, the content of each by its name.

    Args:
        files: the index and the images it lists; others are ignored.
        where: names the set in error messages.

    Raises:
        FormatError: the index or an image is missing, or the index can't be read.
    """
    try:
        index = json.loads(files[GOLDEN_INDEX])
        return [
            GoldenImage(entry["file"], files[entry["file"]], str(entry["class"]), float(entry["confidence"]))
            for entry in index
        ]
    except KeyError as error:
        raise FormatError(f"golden set {where}: {error} is missing") from error
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise FormatError(f"golden set {where}: {GOLDEN_INDEX} can't be read: {reason}") from error
