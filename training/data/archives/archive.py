"""A source in archives: a folder inside of one, or the files of several shards. Each process opens them itself."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import IO, ClassVar

from imaging.sniff import SIGNATURE_BYTES, image_format
from training.data.archives import tarred, zipped
from training.data.archives.containers import Changed, Container
from training.data.archives.members import Damaged, Member, is_too_large
from training.data.names import METADATA, OF_RECORDS, as_text, is_record
from training.data.remote import MOST_BYTES
from training.data.source import Rejected, Stat
from training.errors import DataError

logger = logging.getLogger(__name__)

ZIP, TAR = (".zip",), (".tar", ".tar.gz", ".tgz")
SUFFIXES = (*ZIP, *TAR)


@dataclass(frozen=True)
class Shards:
    """The archives that hold one data set, with the stats that they had when they were listed."""

    containers: tuple[Container, ...]

    @cached_property
    def stats(self) -> list[Stat]:
        """Size and stamp of each archive."""
        return [container.stat() for container in self.containers]

    @cached_property
    def members(self) -> list[Member]:
        """The files in all archives, in the order in which they lie there."""
        return [member for shard in range(len(self.containers)) for member in self._list(shard)]

    def number_of(self, member: Member) -> int:
        """Return the index of the archive that a member lies in."""
        return _place(member.stat)[0]

    def _list(self, shard: int) -> Iterator[Member]:
        container, known = self.containers[shard], self.stats[shard]
        try:
            with container.open(known) as file:
                if _is_zip(container):
                    yield from zipped.members(file, shard, container)
                else:
                    yield from tarred.members(tarred.unpacked(file, container), shard, container, known[0])
        except Changed:
            raise DataError(f"{container} was replaced while it was listed; start again") from None

    def open(self, shard: int) -> IO[bytes]:
        """Return the open archive number `shard`; of a packed tar, what is in it.

        A packed tar can only be read from its beginning. It stays open in this process, because the next task of a
        decoder goes on behind its last one.

        Raises:
            Changed: it has been replaced.
        """
        container, known = self.containers[shard], self.stats[shard]
        if (container, known) in _packed:
            return _packed[container, known]
        file = container.open(known)
        if _is_zip(container):
            return file
        inside = tarred.unpacked(file, container)
        if inside is not file:
            for other in _packed.values():
                other.close()
            _packed.clear()
            _packed[container, known] = inside
        return inside

    def __reduce__(self) -> tuple[object, ...]:
        return _with_stats, (self.containers, self.stats)


_packed: dict[tuple[Container, Stat], IO[bytes]] = {}
"""The packed tar that this process has open: one at most."""


def _with_stats(containers: tuple[Container, ...], stats: list[Stat]) -> Shards:
    shards = Shards(containers)
    shards.__dict__["stats"] = stats
    return shards


def _is_zip(container: Container) -> bool:
    return container.file_name.lower().endswith(ZIP)


def _place(stat: Stat) -> tuple[int, ...]:
    return tuple(map(int, str(stat[1]).split(":")))


class Archive:
    """The folder `inside` of an archive; an empty path is its root. See `source.Tree`."""

    files_per_task: ClassVar[int] = 256

    def __init__(self, shards: Shards, inside: str = "") -> None:
        self.shards, self._inside = shards, inside

    def __str__(self) -> str:
        first, *others = map(str, self.shards.containers)
        return (f"{first} and {len(others)} more" if others else first) + (f"/{self._inside}" if self._inside else "")

    def __reduce__(self) -> tuple[type[Archive], tuple[Shards, str]]:
        return Archive, (self.shards, self._inside)

    @property
    def waits(self) -> bool:
        return self.shards.containers[0].waits

    @property
    def name(self) -> str:
        stem = re.sub(r"(\.tar)?\.\w+$", "", self.shards.containers[0].file_name)
        several = len(self.shards.containers) > 1
        return as_text((re.sub(r"[-_.]?\d+$", "", stem) if several else stem) or stem)

    @property
    def identity(self) -> str:
        # The members' stamps are places, which another archive may have, too.
        files = (f"{c.identity}\0{stat}" for c, stat in zip(self.shards.containers, self.shards.stats, strict=True))
        return "\0".join([*files, self._inside])

    @cached_property
    def _listing(self) -> dict[str, Stat]:
        """The stats of the files below `inside`. As after unpacking, the last of several with one name counts."""
        start = f"{self._inside}/" if self._inside else ""
        listing: dict[str, Stat] = {}
        for name, stat, _ in self.shards.members:
            if name.startswith(start):
                known = listing.get(name[len(start) :])
                if known is not None and _place(known)[0] != _place(stat)[0]:
                    raise DataError(f"{self}: two of these archives hold a file {as_text(name)}; rename one of them")
                listing[name[len(start) :]] = stat
        return listing

    @cached_property
    def _records(self) -> tuple[str, ...]:
        """The folders that one of the commands wrote, each with a slash at its end."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for file in self._listing:
            *folders, _ = parts = file.split("/")
            for depth, part in enumerate(parts):
                if part in OF_RECORDS:
                    found["".join(f"{folder}/" for folder in folders[:depth])].add(part)
        return tuple(folder for folder, names in found.items() if folder and is_record(names))

    def top_level(self) -> tuple[list[str], list[str]]:
        folders = {file.partition("/")[0] for file in self._listing if "/" in file}
        for name in folders:
            if as_text(name) != name:
                raise DataError(
                    f"{self} has a folder {as_text(name)}, whose name isn't UTF-8; rename it and pack again"
                )
        return sorted(folders), sorted(file for file in self._listing if "/" not in file)

    def below(self, folder: str) -> Archive:
        return Archive(self.shards, f"{self._inside}/{folder}" if self._inside else folder)

    def unwrapped(self) -> Archive:
        """Return the folder that holds class folders or a list, if the archive wraps them, as in photos/red/1.png."""
        folders, loose = self.top_level()
        if len(folders) == 1 and not loose:
            inner = self.below(folders[0])
            below, files = inner.top_level()
            if below or not {*METADATA}.isdisjoint(files):
                return inner.unwrapped()
        return self

    def is_image(self, name: str) -> bool:
        (content,) = self.read([name], [self._listing[name]])
        return isinstance(content, bytes) and image_format(content[:SIGNATURE_BYTES]) is not None

    def files(self, folders: list[str]) -> Iterator[tuple[str, Stat]]:
        """Yield the files in the order in which they lie in the archive, which is the fastest to read."""
        for folder in self._records:
            logger.warning("%s/%s is passed over: it is a report's folder, not images", self, as_text(folder[:-1]))
        wanted = set(folders)
        for file, stat in self._listing.items():
            top, slash, _ = file.partition("/")
            if slash and top in wanted and not file.startswith(self._records):
                yield file, stat

    def stats(self, files: list[str]) -> list[Stat | None]:
        return [self._listing.get(file) for file in files]

    def read(self, files: list[str], stats: list[Stat]) -> Iterator[bytes | Rejected]:
        """Yield the content of each of `files`, never more than the archive declares for it.

        Raises:
            DataError: the archive can't be reached.
        """
        opened: tuple[int, IO[bytes]] | None = None
        try:
            for file, stat in zip(files, stats, strict=True):
                shard, *where = _place(stat)
                if is_too_large(stat[0]):
                    yield Rejected(file, "too_large", f"{stat[0]:,} bytes; at most {MOST_BYTES:,} are allowed")
                    continue
                try:
                    if opened is None or opened[0] != shard:
                        self._close(opened)
                        opened = None
                        opened = shard, self.shards.open(shard)
                    read = zipped.read if _is_zip(self.shards.containers[shard]) else tarred.read
                    content: bytes | Rejected = read(opened[1], stat[0], tuple(where))
                except Damaged as error:
                    content = Rejected(file, "damaged", str(error))
                except Changed:
                    content = Rejected(file, "changed", "the archive was replaced since it was listed")
                yield content
        finally:
            self._close(opened)

    def _close(self, opened: tuple[int, IO[bytes]] | None) -> None:
        if opened is not None and opened[1] not in _packed.values():
            opened[1].close()

    def path(self, file: str) -> None:
        return None
