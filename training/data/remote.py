"""List a folder in object storage, and read what was listed: in bounded memory, and never with a copy on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from imaging.decode import DEFAULT_MAX_PIXELS
from imaging.sniff import SIGNATURE_BYTES, image_format
from training.data.folder import Rejected, Stat
from training.data.storage import connect, explain, failures, status
from training.errors import DataError
from training.url import Url

if TYPE_CHECKING:
    from obstore.store import ObjectStore

MOST_BYTES = 8 * DEFAULT_MAX_PIXELS
"""No image that is let in has more, but for its metadata: 16 bits of each of four channels."""

_REQUESTS = 32
"""Under way at a time in a process; at 50 ms each, 640 images a second."""
_AHEAD = 32_000_000
"""Bytes that a process holds or waits for at a time, but for a single larger object."""

_Listing = tuple[list[str], dict[str, Stat]]
"""Names of the folders directly in a folder, and of its objects."""


class Listed:
    """What is below `root`: the tree of `folder.scan`, in object storage."""

    def __init__(self, root: Url) -> None:
        """Ask for what is directly in `root`.

        Raises:
            DataError: no such bucket or folder, no access, no network, a name that can't be taken.
        """
        self._root = root
        self._folders, self._loose = _list(connect(root.root, patient=False), root, root)
        if not self._folders and not self._loose:
            raise DataError(f"no such folder: {root}")
        self._below: dict[str, list[tuple[str, Stat]]] | None = None

    def top_level(self) -> tuple[list[str], list[str]]:
        """Return the names of the folders and of the objects beside them."""
        return self._folders, sorted(self._loose)

    def is_image(self, name: str) -> bool:
        """Whether the object `name` begins like an image."""
        url, size = self._root / name, self._loose[name][0]
        try:
            head = connect(url.root).get_range(url.prefix, start=0, end=SIGNATURE_BYTES) if size else b""
        except failures() as error:
            if isinstance(error, FileNotFoundError):
                return False
            raise explain(error, url) from None
        return image_format(bytes(head)) is not None

    def files(self, folder: str) -> Iterator[tuple[str, Stat]]:
        """Yield every object of `folder`, by its path below the root, in the order of the same tree on a disk."""
        if self._below is None:
            self._below = self._walk()
        yield from sorted(self._below.pop(folder), key=lambda found: _as_on_disk(found[0]))

    def _walk(self) -> dict[str, list[tuple[str, Stat]]]:
        """List all folders, level by level, many at a time; returns the objects by their class."""
        found: dict[str, list[tuple[str, Stat]]] = {name: [] for name in self._folders}
        store, level = connect(self._root.root), self._folders
        with ThreadPoolExecutor(_REQUESTS, "listing") as pool:
            while level:
                listings = pool.map(lambda folder: _list(store, self._root, self._root / folder), level)
                deeper = []
                for folder, (folders, objects) in zip(level, listings, strict=True):
                    deeper += [f"{folder}/{name}" for name in folders]
                    found[folder.partition("/")[0]] += [(f"{folder}/{name}", stat) for name, stat in objects.items()]
                level = deeper
        return found


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
    # A marker, with which some tools make a folder, has the folder's own name, so that none is left here.
    objects = {entry["path"][start:]: (entry["size"], entry["e_tag"] or "") for entry in entries["objects"]}
    return [name for name in folders if not _hidden(name)], {
        name: stat for name, stat in objects.items() if not _hidden(name)
    }


def _hidden(name: str) -> bool:
    return not name or name.startswith(".")


def contents(root: Url, files: list[str], stats: list[Stat]) -> Iterator[bytes | Rejected]:
    """Yield what each of `files` below `root` holds, in order; requests for later ones are under way meanwhile.

    Raises:
        DataError: storage that can't be reached or refuses, though asked again for two minutes.
    """
    store = connect(root.root)
    coming: deque[tuple[int, Future[bytes | Rejected]]] = deque()
    ahead = 0
    with ThreadPoolExecutor(_REQUESTS, "reading") as pool:
        try:
            for file, (size, tag) in zip(files, stats, strict=True):
                while coming and (len(coming) >= _REQUESTS or ahead + size > _AHEAD):
                    ahead -= coming[0][0]
                    yield coming.popleft()[1].result()
                coming.append((size, pool.submit(_read, store, root, file, size, str(tag))))
                ahead += size
            while coming:
                yield coming.popleft()[1].result()
        finally:
            pool.shutdown(cancel_futures=True)


def _read(store: ObjectStore, root: Url, file: str, size: int, tag: str) -> bytes | Rejected:
    """Return the object that was listed, or why it can't be had: one that has become another is never read."""
    if not size:
        return b""
    if size > MOST_BYTES:
        return Rejected(file, "too_large", f"{size:,} bytes, more than the {MOST_BYTES:,} allowed")
    try:
        answer = store.get((root / file).prefix, options={"if_match": tag} if tag else {})
        if answer.meta["size"] == size:
            return answer.bytes().to_bytes()
    except FileNotFoundError:
        return Rejected(file, "changed", "gone since the folder was listed")
    except failures() as error:
        if status(error) != 412:
            raise explain(error, root / file) from None
    return Rejected(file, "changed", "written anew since the folder was listed")
