"""What images are read from: a `Source` reads the files of a data set, and a `Tree` lists those of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Rejected:
    """A file that is left out.

    `code` is one of `imaging`'s, `unreadable` or `foreign`; in a bucket or an archive also `too_large` or `changed`, in
    an archive `damaged`, and in a list `missing` or `unlabelled`.
    """

    file: str
    code: str
    reason: str


Stat = tuple[int, int | str]
"""Size in bytes, and a stamp that changes with the content: time in ns, entity tag, or place in an archive."""


class Source(Protocol):
    """Files of images, wherever they are stored. `str` returns its address, for messages.

    It can be pickled: each decoder process reads from a copy.
    """

    @property
    def files_per_task(self) -> int:
        """How many files a decoder process takes at a time."""

    @property
    def waits(self) -> bool:
        """Whether reading waits for a network. Then only decoder processes read, which can be stopped at once."""

    @property
    def name(self) -> str:
        """What reports call the data set."""

    @property
    def identity(self) -> str:
        """The address, the same from every working directory: part of the cache's key."""

    def read(self, files: list[str], stats: list[Stat]) -> Iterator[str | bytes | Rejected]:
        """Yield for each of `files`, in order, what `imaging.decode` takes (a path or the content), or its rejection.

        Raises:
            DataError: the source can't be reached.
        """

    def path(self, file: str) -> Path | None:
        """Return where `file` lies on this machine; None for a file that would have to be downloaded or unpacked."""


class Tree(Source, Protocol):
    """A folder with one folder of images per class, on disk, in a bucket or in an archive."""

    def top_level(self) -> tuple[list[str], list[str]]:
        """Return the names of the folders and of the files beside them, each sorted, without junk (`names.is_junk`).

        Raises:
            DataError: the folder doesn't exist or can't be listed, or a folder is a link to another one.
        """

    def below(self, folder: str) -> Tree:
        """Return the source of a folder directly in this one."""

    def is_image(self, name: str) -> bool:
        """Return whether the file `name` beside the folders begins like an image."""

    def files(self, folders: list[str]) -> Iterator[tuple[str, Stat]]:
        """Yield every file at any depth of `folders`, in a fixed order, by its path below the source.

        Junk is passed over silently, and a folder that one of the commands wrote (`names.is_record`) with a warning.

        Raises:
            DataError: a folder can't be listed.
        """

    def stats(self, files: list[str]) -> list[Stat | None]:
        """Return the stat of each of `files`, paths below the source; None for one that doesn't exist.

        Raises:
            DataError: the source can't be reached.
        """
