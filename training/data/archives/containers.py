"""The file that is an archive: on disk, or an object in a bucket that is read by ranges."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from training.data.names import as_text
from training.data.source import Stat
from training.data.storage import connect, explain, failures, status
from training.errors import DataError
from training.url import Url

_AHEAD = 4 << 20
"""Bytes of an object that are read at a time: neighbours in the archive come with one request."""


class Changed(Exception):
    """The archive is not the one any more that was listed."""


class Container(Protocol):
    """A file. `str` returns its address, for messages."""

    @property
    def waits(self) -> bool:
        """Whether reading waits for a network."""

    @property
    def file_name(self) -> str:
        """The last part of the address."""

    @property
    def identity(self) -> str:
        """The address, the same from every working directory."""

    def stat(self) -> Stat:
        """Return its size and stamp.

        Raises:
            DataError: there is no such file, or it can't be reached.
        """

    def open(self, known: Stat) -> IO[bytes]:
        """Open the file that had the stat `known`, for reading anywhere.

        Raises:
            Changed: it has another one by now; also while it is read.
            DataError: it can't be read; also while it is read.
        """


@dataclass(frozen=True)
class DiskFile:
    """A file on disk. See `Container`."""

    file: Path

    waits = False

    def __str__(self) -> str:
        return as_text(str(self.file))

    @property
    def file_name(self) -> str:
        return self.file.name

    @property
    def identity(self) -> str:
        return str(self.file.resolve())

    def stat(self) -> Stat:
        try:
            return _stat(os.stat(self.file))
        except FileNotFoundError:
            raise DataError(f"no such file: {self}") from None
        except Changed:
            raise DataError(f"{self} is no regular file") from None
        except OSError as error:
            raise DataError(f"{self} can't be read: {error.strerror}") from error

    def open(self, known: Stat) -> IO[bytes]:
        try:
            file = self.file.open("rb")
        except FileNotFoundError:
            raise Changed from None
        except OSError as error:
            raise DataError(f"{self} can't be read: {error.strerror}") from error
        if _stat(os.fstat(file.fileno())) != known:
            file.close()
            raise Changed
        return file


def _stat(info: os.stat_result) -> Stat:
    if not stat.S_ISREG(info.st_mode):
        raise Changed
    return info.st_size, info.st_mtime_ns


@dataclass(frozen=True)
class BucketFile:
    """An object in a bucket. See `Container`."""

    url: Url

    waits = True

    def __str__(self) -> str:
        return str(self.url)

    @property
    def file_name(self) -> str:
        return self.url.parts[-1]

    @property
    def identity(self) -> str:
        return str(self.url)

    def stat(self) -> Stat:
        try:
            meta = connect(self.url.root, patient=False).head(self.url.prefix)
        except failures() as error:
            if isinstance(error, FileNotFoundError):
                raise DataError(f"no such file: {self}") from None
            raise explain(error, self.url) from None
        return meta["size"], meta["e_tag"] or ""

    def open(self, known: Stat) -> IO[bytes]:
        return io.BufferedReader(_Object(self.url, known), _AHEAD)


class _Object(io.RawIOBase):
    """An object as a file. A replaced object is never read."""

    def __init__(self, url: Url, known: Stat) -> None:
        self._url, (self._size, self._tag) = url, known
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        options: Any = {"range": (self._at, end)} | ({"if_match": self._tag} if self._tag else {})
        try:
            answer = connect(self._url.root).get(self._url.prefix, options=options)
            content = answer.bytes().to_bytes()
        except failures() as error:
            if isinstance(error, FileNotFoundError) or status(error) == 412:
                raise Changed from None
            raise explain(error, self._url) from None
        if answer.meta["size"] != self._size:
            raise Changed
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)
