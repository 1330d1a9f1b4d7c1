"""Tar archives, plain or packed by gzip: one pass lists the files with their places, which decoders then read."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, cast

from training.data.archives.members import Damaged, Member, label_bytes, refuse_count, refuse_link, safe
from training.errors import DataError

GZIP = b"\x1f\x8b"
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_LONGEST_HEADER = 1 << 20
"""Bytes of a long name or of extended attributes, which are read into memory."""
_MOST_UNPACKED = 1 << 30
_MOST_RATIO = 100
"""A gzip archive of images may unpack to so many bytes, or to so many times its size if that is more."""
_BLOCK = 512


def unpacked(file: IO[bytes], address: object) -> IO[bytes]:
    """Return the tar in `file`, which is plain or packed by gzip.

    Raises:
        DataError: it is packed otherwise.
    """
    start = file.read(6)
    file.seek(0)
    for magic, name in _OTHERS.items():
        if start.startswith(magic):
            raise DataError(f"{address} is compressed by {name}; unpack it to a .tar, or pack it as .zip or .tar.gz")
    return cast("IO[bytes]", _Gunzipped(file)) if start.startswith(GZIP) else file


def members(file: IO[bytes], shard: int, address: object, packed_size: int) -> Iterator[Member]:
    """List the files of the tar `file` (see `unpacked`), which is number `shard`.

    Raises:
        DataError: it is no tar, is damaged, holds an unsafe path, a link or a device, or unpacks to far too much.
    """
    most = max(_MOST_UNPACKED, _MOST_RATIO * packed_size)
    count = 0
    try:
        headers: Any = _Headers(file, address)
        with tarfile.open(fileobj=headers, mode="r:") as tar:
            kept: list[tarfile.TarInfo] = vars(tar)["members"]
            while (info := tar.next()) is not None:
                kept.clear()  # It would keep every header.
                count += 1
                refuse_count(count, address)
                if info.offset_data + info.size > most:
                    raise DataError(
                        f"{address} would unpack to over {most:,} bytes, far more than images do; check what it holds"
                    )
                name = safe(info.name, address)
                if name is None or info.isdir():
                    continue
                if not info.isreg() or info.issparse():
                    raise refuse_link(info.name, address)
                text = None
                if label_bytes(name, info.size):
                    file.seek(info.offset_data)
                    text = file.read(info.size)
                yield Member(name, (info.size, f"{shard}:{info.offset_data}"), text)
            # The library takes a broken header for the end.
            file.seek(tar.offset)
            if any(file.read(_BLOCK)):
                raise DataError(f"{address} is damaged after {count:,} files")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise DataError(f"{address} is no tar archive, or is damaged: {error}") from error


def read(file: IO[bytes], size: int, where: tuple[int, ...]) -> bytes:
    """Return the content of the member of `size` bytes at the offset `where`.

    Raises:
        Damaged: the archive ends before.
    """
    file.seek(where[0])
    data = file.read(size)
    if len(data) != size:
        raise Damaged("the archive ends in the middle of it")
    return data


class _Gunzipped(gzip.GzipFile):
    """What is in the packed `file`, which is closed with this one."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._packed = file

    def close(self) -> None:
        super().close()
        self._packed.close()


class _Headers:
    """The file as `tarfile` sees it, which reads headers of any declared length at once."""

    def __init__(self, file: IO[bytes], address: object) -> None:
        self._file, self._address = file, address
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if size > _LONGEST_HEADER:
            raise DataError(
                f"{self._address} holds a header of {size:,} bytes; at most {_LONGEST_HEADER:,} are allowed"
            )
        return self._file.read(size)
