"""A source in object storage: a folder of a bucket, read in bounded memory and without a copy on disk."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from imaging.decode import DEFAULT_MAX_PIXELS
from imaging.sniff import SIGNATURE_BYTES, image_format
from training.data.names import is_junk, is_record, name_of
from training.data.source import Rejected, Stat
from training.data.storage import connect, explain, failures, status
from training.errors import DataError
from training.url import Url

if TYPE_CHECKING:
    from obstore.store import ObjectStore

logger = logging.getLogger(__name__)

MOST_BYTES = 8 * DEFAULT_MAX_PIXELS
"""Size limit of an object. The largest admitted image has this many bytes of pixels, four channels of 16 bits each."""

_REQUESTS = 32
"""Concurrent requests per process; at 50 ms each, 640 images/s."""
_AHEAD = 32_000_000
"""Bytes that a process holds or waits for at a time, unless a single object is larger."""

_Listing = tuple[list[str], dict[str, Stat]]
"""Names of the folders directly in a folder, and its objects."""


class BucketSource:
    """The folder `url` of a bucket. See `source.Tree`."""

    files_per_task: ClassVar[int] = 256
    """More than on disk, because no requests are under way between two tasks."""
    waits: ClassVar[bool] = True

    def __init__(self, url: Url) -> None:
        self._url = url

    def __reduce__(self) -> tuple[type[BucketSource], tuple[Url]]:
        return BucketSource, (self._url,)  # Decoder processes don't need the listing.

    def __str__(self) -> str:
        return str(self._url)

    @property
    def url(self) -> Url:
        """Where the folder is."""
        return self._url

    @property
    def name(self) -> str:
        return name_of(self._url.parts)

    @property
    def identity(self) -> str:
        return str(self._url)

    @cached_property
    def _top(self) -> _Listing:
        return _list(connect(self._url.root, patient=False), self._url, self._url)

    def top_level(self) -> tuple[list[str], list[str]]:
        folders, loose = self._top
        if not folders and not loose:
            raise DataError(f"no such folder: {self}")
        return folders, sorted(loose)

    def below(self, folder: str) -> BucketSource:
        return BucketSource(self._url / folder)

    def is_image(self, name: str) -> bool:
        url, size = self._url / name, self._top[1][name][0]
        try:
            head = connect(url.root).get_range(url.prefix, start=0, end=SIGNATURE_BYTES) if size else b""
        except failures() as error:
            if isinstance(error, FileNotFoundError):
                return False
            raise explain(error, url) from None
        return image_format(bytes(head)) is not None

    def files(self, folders: list[str]) -> Iterator[tuple[str, Stat]]:
        """Yield every object of `folders` in the order that the same tree has on disk."""
        below = self._walk(folders)
        for folder in folders:
            yield from sorted(below.pop(folder), key=lambda found: _as_on_disk(found[0]))

    def _walk(self, level: list[str]) -> dict[str, list[tuple[str, Stat]]]:
        """List all folders, level by level, many at a time; return the objects by their class."""
        found: dict[str, list[tuple[str, Stat]]] = {name: [] for name in level}
        store = connect(self._url.root)
        with ThreadPoolExecutor(_REQUESTS, "listing") as pool:
            while level:
                listings = pool.map(lambda folder: _list(store, self._url, self._url / folder), level)
                deeper = []
                for folder, (folders, objects) in zip(level, listings, strict=True):
                    if is_record([*folders, *objects]):
                        logger.warning("%s is passed over: it is a report's folder, not images", self._url / folder)
                        continue
                    deeper += [f"{folder}/{name}" for name in folders]
                    found[folder.partition("/")[0]] += [(f"{folder}/{name}", stat) for name, stat in objects.items()]
                level = deeper
        return found

    def stats(self, files: list[str]) -> list[Stat | None]:
        """List each folder of `files` once: a thousand objects per request, where each file would take one."""
        store = connect(self._url.root)
        folders = sorted({file.rpartition("/")[0] for file in files})
        with ThreadPoolExecutor(_REQUESTS, "listing") as pool:
            listings = pool.map(lambda name: _list(store, self._url, self._url / name if name else self._url), folders)
            objects = {folder: listing[1] for folder, listing in zip(folders, listings, strict=True)}
        return [objects[folder].get(name) for folder, _, name in (file.rpartition("/") for file in files)]

    def read(self, files: list[str], stats: list[Stat]) -> Iterator[bytes | Rejected]:
        """Yield the content of each of `files`, in order, while later ones are requested.

        Raises:
            DataError: storage can't be reached or refuses, after two minutes of retries.
        """
        store = connect(self._url.root)
        coming: deque[tuple[int, Future[bytes | Rejected]]] = deque()
        ahead = 0
        with ThreadPoolExecutor(_REQUESTS, "reading") as pool:
            try:
                for file, (size, tag) in zip(files, stats, strict=True):
                    while coming and (len(coming) >= _REQUESTS or ahead + size > _AHEAD):
                        ahead -= coming[0][0]
                        yield coming.popleft()[1].result()
                    coming.append((size, pool.submit(_read, store, self._url, file, size, str(tag))))
                    ahead += size
                while coming:
                    yield coming.popleft()[1].result()
            finally:
                pool.shutdown(cancel_futures=True)

    def path(self, file: str) -> None:
        return None


def _as_on_disk(file: str) -> tuple[tuple[bool, str], ...]:
    *folders, name = file.split("/")
    return (*((True, folder) for folder in folders), (False, name))


def _list(store: ObjectStore, root: Url, folder: Url) -> _Listing:
    try:
        entries = store.list_with_delimiter(folder.prefix or None)
    except failures() as error:
        raise explain(error, root) from None
    start = len(folder.prefix) + 1 if folder.prefix else 0
    folders = sorted(path[start:] for path in entries["common_prefixes"])
    # Some tools make a folder by a marker object. It has the folder's own name, so that no name is left here.
    objects = {entry["path"][start:]: (entry["size"], entry["e_tag"] or "") for entry in entries["objects"]}
    return [name for name in folders if not is_junk(name)], {
        name: stat for name, stat in objects.items() if not is_junk(name)
    }


def _read(store: ObjectStore, root: Url, file: str, size: int, tag: str) -> bytes | Rejected:
    """Return the content of the object that was listed, or its rejection. A replaced object is never read."""
    if not size:
        return b""
    if size > MOST_BYTES:
        return Rejected(file, "too_large", f"{size:,} bytes; at most {MOST_BYTES:,} are allowed")
    try:
        answer = store.get((root / file).prefix, options={"if_match": tag} if tag else {})
        if answer.meta["size"] == size:
            return answer.bytes().to_bytes()
    except FileNotFoundError:
        return Rejected(file, "changed", "removed since the folder was listed")
    except failures() as error:
        if status(error) != 412:
            raise explain(error, root / file) from None
    return Rejected(file, "changed", "replaced since the folder was listed")
