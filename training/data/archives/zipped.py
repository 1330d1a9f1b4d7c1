"""ZIP archives: listed by their central directory, and read by place, so that decoders need no directory."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from training.data.archives.members import Damaged, Member, is_too_large, label_bytes, refuse_count, refuse_link, safe
from training.errors import DataError

_HEADER = struct.Struct("<4s22xHH")
_DEFLATED = zipfile.ZIP_DEFLATED
_ENCRYPTED = 0x1


def members(file: IO[bytes], shard: int, address: object) -> Iterator[Member]:
    """List the files of the archive `file`, which is number `shard`.

    Raises:
        DataError: it is no ZIP archive, is damaged, or holds an unsafe path, a link or encrypted files.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise DataError(f"{address} is no ZIP archive, or is damaged: {error}") from error
    listed = archive.infolist()
    refuse_count(len(listed), address)
    if sum(info.compress_size for info in listed) > file.seek(0, 2):
        raise DataError(f"{address} is no valid ZIP archive: its files overlap; pack the files again")
    for info in listed:
        name = safe(info.filename.replace("\\", "/"), address)
        if name is None or info.is_dir():
            continue
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise refuse_link(info.filename, address)
        if info.flag_bits & _ENCRYPTED:
            raise DataError(f"{address}: {info.filename[:100]!r} is encrypted; pack the files without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, _DEFLATED):
            raise DataError(
                f"{address}: {info.filename[:100]!r} is compressed by method {info.compress_type}; pack the files with "
                "deflate, or uncompressed"
            )
        where = (info.header_offset, info.compress_size, info.compress_type, info.CRC)
        place = ":".join(map(str, (shard, *where)))
        text = None
        if label_bytes(name, info.file_size):
            try:
                text = read(file, info.file_size, where)
            except Damaged as error:
                raise DataError(f"{address}: {info.filename[:100]!r} is damaged: {error}") from error
        yield Member(name, (info.file_size, place), text)


def read(file: IO[bytes], size: int, where: tuple[int, ...]) -> bytes:
    """Return the content of the member of `size` bytes at `where`: offset, packed size, method and CRC.

    Never more than `size` bytes are unpacked.

    Raises:
        Damaged: the content has another size or checksum than the directory says.
    """
    offset, packed_size, method, crc = where
    file.seek(offset)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or not header.startswith(b"PK\3\4"):
        raise Damaged("it is not where the archive's directory says")
    _, name, extra = _HEADER.unpack(header)
    file.seek(offset + _HEADER.size + name + extra)
    # A packed file is hardly ever larger than the file.
    if is_too_large(packed_size):
        raise Damaged(f"{packed_size:,} packed bytes for {size:,}")
    data = file.read(packed_size)
    if method == _DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
        except zlib.error:
            raise Damaged("its compressed bytes are broken") from None
    if len(data) != size or zlib.crc32(data) != crc:
        raise Damaged("it has another size or checksum than the archive's directory says")
    return data
