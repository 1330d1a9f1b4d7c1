"""A source on disk: a folder, and the files below it."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from imaging.sniff import SIGNATURE_BYTES, image_format
from training.data.names import as_text, is_junk, is_record, name_of
from training.data.source import Stat
from training.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DiskSource:
    """The folder `root`. See `source.Tree`."""

    root: Path

    files_per_task: ClassVar[int] = 64
    waits: ClassVar[bool] = False

    def __str__(self) -> str:
        return as_text(str(self.root))

    @property
    def name(self) -> str:
        return name_of(self.root.resolve().parts)

    @property
    def identity(self) -> str:
        return str(self.root.resolve())

    def top_level(self) -> tuple[list[str], list[str]]:
        try:
            entries = sorted(entry for entry in os.listdir(self.root) if not is_junk(entry))
        except FileNotFoundError:
            raise DataError(f"no such folder: {self}") from None
        except NotADirectoryError:
            raise DataError(
                f"{self} is a file; --data takes a folder of class folders, a list (.csv, .tsv, .jsonl) or an archive "
                "(.zip, .tar, .tar.gz, .tgz)"
            ) from None
        except OSError as error:
            raise DataError(f"{self} can't be read: {error.strerror}") from error
        folders = [entry for entry in entries if (self.root / entry).is_dir()]
        for name in folders:
            try:
                name.encode()
            except UnicodeEncodeError:
                raise DataError(f"class folder {os.fsencode(name)!r} in {self} has a name that isn't UTF-8") from None
        self._refuse_links(folders)
        return folders, [entry for entry in entries if entry not in set(folders)]

    def _refuse_links(self, folders: list[str]) -> None:
        """Refuse two names of one folder, whose images would have two labels."""
        known = {_identity(self.root): str(self)}
        for name in folders:
            first = known.setdefault(_identity(self.root / name), name)
            if first != name:
                raise DataError(f"{self} has one folder under two names, {first} and {name}; remove the link")

    def below(self, folder: str) -> DiskSource:
        return DiskSource(self.root / folder)

    def is_image(self, name: str) -> bool:
        path = self.root / name
        if not path.is_file():
            return False
        try:
            with path.open("rb") as file:
                return image_format(file.read(SIGNATURE_BYTES)) is not None
        except OSError:
            return False

    def files(self, folders: list[str]) -> Iterator[tuple[str, Stat]]:
        for folder in folders:
            for path, size_and_time in _regular_files(self.root / folder):
                yield os.path.relpath(path, self.root), size_and_time

    def stats(self, files: list[str]) -> list[Stat | None]:
        return [_stat(self.root / file) for file in files]

    def read(self, files: list[str], stats: list[Stat]) -> Iterator[str]:
        return (str(self.root / file) for file in files)

    def path(self, file: str) -> Path:
        return self.root / file


def _regular_files(folder: Path) -> Iterator[tuple[str, Stat]]:
    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_raise):
        here = _identity(parent)
        if here in seen:
            folders.clear()  # This is a link to a folder above it.
            continue
        seen.add(here)
        if is_record([*folders, *files]):
            logger.warning("%s is passed over: it is a report's folder, not images", as_text(parent))
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not is_junk(name))
        for name in sorted(files):
            if is_junk(name):
                continue
            path = os.path.join(parent, name)
            try:
                info = os.stat(path)
            except OSError:
                yield path, (0, 0)  # A broken link: decoding reports why it can't be read.
                continue
            if stat.S_ISREG(info.st_mode):
                yield path, (info.st_size, info.st_mtime_ns)


def _stat(path: Path) -> Stat | None:
    try:
        info = os.stat(path)
    except (OSError, ValueError):  # a name with a null character is no name
        return None
    return (info.st_size, info.st_mtime_ns) if stat.S_ISREG(info.st_mode) else None


def _identity(folder: str | Path) -> tuple[int, int]:
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def _raise(error: OSError) -> None:
    raise DataError(f"{as_text(str(error.filename))} can't be read: {error.strerror}") from error
