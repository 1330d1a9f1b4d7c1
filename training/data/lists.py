"""A list of images with their labels: a CSV file or JSON Lines, on disk, in a bucket or in an archive."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from training.data import tables
from training.data.disk import DiskSource
from training.data.labelled import COLUMNS, Labelled, Sample, Values, find_columns, values_of
from training.data.names import METADATA, as_text, some
from training.data.source import Rejected, Tree
from training.errors import DataError
from training.url import is_url

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ListFile:
    """The list `file` in `folder`. Its paths are relative to `root`, and never lead out of it."""

    folder: Tree
    file: str
    root: Tree

    def __str__(self) -> str:
        return f"{self.folder}/{as_text(self.file)}".removeprefix("./")

    @property
    def name(self) -> str:
        """What reports call the data set."""
        return self.folder.name if self.file in METADATA else as_text(PurePosixPath(self.file).stem)

    @cached_property
    def _roots(self) -> tuple[str, ...]:
        """The absolute paths of `root`, if it is on disk: as it is called, and without links."""
        root = self.root
        return (os.path.abspath(root.root), os.path.realpath(root.root)) if isinstance(root, DiskSource) else ()

    def has_labels(self) -> bool:
        """Return whether the list has a column for the label.

        Raises:
            DataError: it can't be read.
        """
        return "label" in self._table()[1]

    def read(self) -> Labelled:
        """Return the listed images that exist.

        Raises:
            DataError: the list can't be read, lacks a column, leads out of its folder, gives a file two labels, or
                none of its files exists.
        """
        given, columns, rows = self._table()
        lacking = [kind for kind in ("path", "label") if kind not in columns]
        if lacking:
            means = " and ".join(f"a column for the {kind} ({', '.join(COLUMNS[kind])})" for kind in lacking)
            raise DataError(
                f"{self} lacks {means}; its first line has {some([name[:40] for name in given], 8) or 'none'}"
            )
        first: dict[str, tuple[int, Values]] = {}
        repeated = 0
        for line, row in rows:
            try:
                file = self._inside(row.get(columns["path"]))
                values = values_of(row, columns)
                before, others = first.setdefault(file, (line, values))
                if others != values:
                    raise DataError(
                        f"{as_text(file)} is {_told(values)}, but {_told(others)} in line {before}; keep one"
                    )
            except DataError as error:
                raise DataError(f"{self}, line {line}: {error}") from None
            repeated += before != line
        if not first:
            raise DataError(f"{self} lists no images")
        if repeated:
            logger.warning("%s: %d lines repeat files; each file is used once", self, repeated)
        return self._found(first)

    def _found(self, listed: dict[str, tuple[int, Values]]) -> Labelled:
        samples, rejected = [], []
        missing = 0
        for (file, (_, (label, group, part))), stat in zip(listed.items(), self.root.stats([*listed]), strict=True):
            if stat is None:
                missing += 1
                rejected.append(Rejected(file, "missing", f"listed in {self.file}, but there is no such file"))
            elif label is None:
                rejected.append(Rejected(file, "unlabelled", f"listed in {self.file} without a label"))
            else:
                samples.append(Sample(file, stat, label, group, part))
        if missing == len(listed):
            raise DataError(
                f"{self}: none of the {missing} files is in {self.root}, such as {as_text(next(iter(listed)))}; pass "
                "--images-root DIR, the folder that the paths are relative to"
            )
        if not samples:
            raise DataError(f"{self} has no label for any image that exists")
        return Labelled(self.root, str(self), self.name, samples, rejected)

    def _inside(self, value: Any) -> str:
        """Return the path below `root` that the list's `value` means."""
        if not isinstance(value, str) or not value.strip():
            raise DataError("the path is missing")
        text = value.strip().replace("\\", "/")
        if is_url(text):
            if not text.startswith(f"{self.root}/"):
                scheme = text.partition("://")[0]
                # The URL itself may hold a secret.
                raise DataError(
                    f"the path is a URL ({scheme[:10]}://...) that doesn't begin with {self.root}/; download the "
                    "images, or pass the bucket's folder as --images-root"
                )
            text = text.removeprefix(f"{self.root}/")
        elif text.startswith("/"):
            text = next((os.path.relpath(text, root) for root in self._roots if Path(text).is_relative_to(root)), text)
        path = posixpath.normpath(text)
        if path.startswith("/") or path in (".", "..") or path.startswith("../"):
            raise DataError(
                f"{as_text(value)[:200]!r} is outside of {self.root}; pass --images-root DIR, a folder that holds all "
                "images"
            )
        return path

    def _table(self) -> tuple[list[str], dict[str, str], Iterator[tables.Row]]:
        """Return the names of all columns, those that have a meaning, and the rows."""
        given, rows = self._content()
        try:
            return given, find_columns(given), self._checked(rows)
        except DataError as error:
            raise DataError(f"{self}: {error}") from None

    def _checked(self, rows: Iterator[tables.Row]) -> Iterator[tables.Row]:
        try:
            yield from rows
        except tables.TableError as error:
            raise DataError(f"{self}: {error}") from error

    def _content(self) -> tuple[list[str], Iterator[tables.Row]]:
        (stat,) = self.folder.stats([self.file])
        if stat is None:
            raise DataError(f"no such file: {self}")
        content = next(iter(self.folder.read([self.file], [stat])))
        try:
            if isinstance(content, str):
                content = Path(content).read_bytes()
            if isinstance(content, Rejected):
                raise DataError(f"{self} can't be read: {content.reason}")
            return tables.read(content, PurePosixPath(self.file).suffix.lower())
        except OSError as error:
            raise DataError(f"{self} can't be read: {error.strerror}") from error
        except tables.TableError as error:
            raise DataError(f"{self}: {error}") from error


def _told(values: Values) -> str:
    label, group, part = values
    return " ".join(
        [label or "without a label", *([f"of group {group}"] if group else []), *([f"for {part}"] if part else [])]
    )
