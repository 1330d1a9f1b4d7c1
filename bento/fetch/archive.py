"""Unpack an archive of `bentoml models export`. Only ordinary files below one folder are accepted."""

from __future__ import annotations

import errno
import lzma
import re
import tarfile
import zlib
from pathlib import Path, PurePosixPath

_TAG_PART = re.compile(r"[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?")
_BLOCK = 2**20


class ArchiveError(Exception):
    """The archive is not the expected one, or holds no model; the message is one line."""


def unpack(packed: Path, into: Path, *, max_bytes: int) -> tuple[str, str]:
    """Unpack a model into the new folder `into`; return its name and version.

    Args:
        packed: the archive, a tar with any compression.
        into: must not exist.
        max_bytes: most bytes of all unpacked files together.

    Raises:
        ArchiveError: the archive is no tar, or is damaged or too large; it holds links, devices, duplicate files or
            paths that lead outside; or it has no model.yaml.
        OSError: the files can't be written.
    """
    into.mkdir()
    try:
        # The filter of `extractall` came with Python 3.11.4, and Debian 12 has 3.11.2.
        with tarfile.open(packed, "r:*") as tar:
            _extract(tar, into, max_bytes)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise ArchiveError(f"the archive is damaged, or not one of `bentoml models export`: {error}") from error
    except OSError as error:
        # Gzip and bzip2 report damage without a number. The other numbers mean bad names, not a full disk.
        if error.errno in (None, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG):
            raise ArchiveError(f"the archive is damaged, or not one of `bentoml models export`: {error}") from error
        raise
    about = into / "model.yaml"
    if not about.is_file():
        raise ArchiveError("the archive holds no model.yaml; make it with: bentoml models export TAG FILE")
    text = about.read_text(encoding="utf-8", errors="replace")
    return _field(text, "name"), _field(text, "version")


def _extract(tar: tarfile.TarFile, into: Path, max_bytes: int) -> None:
    left = max_bytes
    for member in tar:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise ArchiveError(f"the archive would write outside its folder: {member.name[:100]!r}")
        target = into.joinpath(*path.parts)
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        source = tar.extractfile(member) if member.isreg() else None
        if source is None:
            raise ArchiveError(f"the archive holds a link or a device: {member.name[:100]!r}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            while block := source.read(_BLOCK):
                left -= len(block)
                if left < 0:
                    raise ArchiveError(f"the archive unpacks to more than {max_bytes:,} bytes")
                out.write(block)


def _field(text: str, key: str) -> str:
    """Return a field of model.yaml that is a plain or quoted word, as the name and the version always are."""
    found = re.search(rf"^{key}: *(['\"]?)([^'\"\s]*)\1 *$", text, re.MULTILINE)
    if found is None or not _TAG_PART.fullmatch(found[2]):
        raise ArchiveError(f"the archive's model.yaml has no usable {key}")
    return found[2]
