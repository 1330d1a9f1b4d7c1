"""Find the images of a class-per-folder tree, on disk or in object storage. Names and sizes only: decodes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from imaging.sniff import SIGNATURE_BYTES, image_format
from training.errors import DataError
from training.url import Url

# Somebody who passes the folder above these wants them as parts, not as classes.
PART_NAMES = {"train", "training", "test", "testing", "val", "valid", "validation", "dev"}


@dataclass(frozen=True)
class Rejected:
    """A file that is not trained on.

    `code` is one of `imaging`'s, `unreadable` or `foreign`; of an object in storage also `too_large` or `changed`.
    """

    file: str
    code: str
    reason: str


Stat = tuple[int, int | str]
"""Size in bytes, and what changes with the content: modification time in ns, or entity tag."""


class Tree(Protocol):
    """Where files lie."""

    def top_level(self) -> tuple[list[str], list[str]]:
        """Return the names of the folders and of the files beside them, hidden ones left out, in order."""

    def is_image(self, name: str) -> bool:
        """Whether the file `name` beside the folders begins like an image."""

    def files(self, folder: str) -> Iterator[tuple[str, Stat]]:
        """Yield every file at any depth of `folder` in a fixed order, by its path below the root."""


@dataclass(frozen=True)
class ImageFolder:
    """A tree of candidate images: `labels[i]` indexes `class_names` and belongs to `files[i]`."""

    root: Path | Url
    class_names: list[str]
    files: list[str]
    labels: list[int]
    stats: list[Stat]
    rejected: list[Rejected] = field(default_factory=list)


def scan(root: Path | Url, class_names: list[str] | None = None) -> ImageFolder:
    """List every regular file below each class folder, hidden ones left out, in a fixed order.

    Args:
        root: the folder whose sub-folders are the classes.
        class_names: the classes there may be, in label order; without it, the sub-folders in order.

    Raises:
        DataError: no such folder, no class folders, images beside the class folders, a class that
            `class_names` doesn't have; storage that can't be reached or refuses.
    """
    tree = _tree(root)
    folders, loose = tree.top_level()
    loose_images = [name for name in loose if tree.is_image(name)]
    if not folders and not loose_images:
        raise DataError(f"{root} has no folders; it needs one folder of images a class")
    if not folders:
        raise DataError(f"{root} holds images but no folders; put them into one folder a class")
    if loose_images:
        raise DataError(
            f"{root} mixes class folders with loose images ({loose_images[0]}, {len(loose_images)} in all); "
            "move each into the folder of its class"
        )
    if class_names is None:
        _refuse_parts(root, folders)
        class_names = folders
    unknown = sorted(set(folders) - set(class_names))
    if unknown:
        raise DataError(f"{root / unknown[0]} is no class of the training data; known: {_some(class_names)}")

    found = ImageFolder(root, class_names, [], [], [])
    found.rejected.extend(Rejected(name, "foreign", "beside the class folders") for name in loose)
    for name in folders:
        label = class_names.index(name)
        for file, size_and_stamp in tree.files(name):
            found.files.append(file)
            found.labels.append(label)
            found.stats.append(size_and_stamp)
    if not found.files:
        raise DataError(f"{root} has class folders ({_some(folders)}) but no images in them")
    return found


def _tree(root: Path | Url) -> Tree:
    if isinstance(root, Path):
        return _OnDisk(root)
    from training.data.remote import Listed

    return Listed(root)


class _OnDisk:
    def __init__(self, root: Path) -> None:
        self._root = root

    def top_level(self) -> tuple[list[str], list[str]]:
        return _top_level(self._root)

    def is_image(self, name: str) -> bool:
        return _is_image(self._root / name)

    def files(self, folder: str) -> Iterator[tuple[str, Stat]]:
        for path, size_and_time in _regular_files(self._root / folder):
            yield os.path.relpath(path, self._root), size_and_time


def _top_level(root: Path) -> tuple[list[str], list[str]]:
    try:
        entries = sorted(entry for entry in os.listdir(root) if not entry.startswith("."))
    except FileNotFoundError:
        raise DataError(f"no such folder: {root}") from None
    except NotADirectoryError:
        raise DataError(f"{root} is a file; --data takes a folder with one folder of images a class") from None
    except OSError as error:
        raise DataError(f"{root} can't be read: {error.strerror}") from error
    folders = [entry for entry in entries if (root / entry).is_dir()]
    for name in folders:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(f"class folder {os.fsencode(name)!r} in {root} has a name that isn't UTF-8") from None
    return folders, [entry for entry in entries if entry not in set(folders)]


def _is_image(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return image_format(file.read(SIGNATURE_BYTES)) is not None
    except OSError:
        return False


def _refuse_parts(root: Path | Url, folders: list[str]) -> None:
    if {name.lower() for name in folders} <= PART_NAMES:
        raise DataError(
            f"{root} holds parts of a data set ({_some(folders)}), not classes; "
            "pass the part to train on as --data and the part to test on as --test-data"
        )


def _regular_files(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_raise):
        here = os.stat(parent)
        if (here.st_dev, here.st_ino) in seen:
            folders.clear()  # a link that leads back up
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.startswith("."):
                continue
            path = os.path.join(parent, name)
            try:
                info = os.stat(path)
            except OSError:
                yield path, (0, 0)  # a broken link: decoding it will say why
                continue
            if stat.S_ISREG(info.st_mode):
                yield path, (info.st_size, info.st_mtime_ns)


def _raise(error: OSError) -> None:
    raise DataError(f"{error.filename} can't be read: {error.strerror}") from error


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def as_text(name: str) -> str:
    """A file name as text that can be written: bytes that aren't UTF-8 become \\x escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
