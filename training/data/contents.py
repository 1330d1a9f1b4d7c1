"""Tell what a folder or an archive holds: class folders, a list beside the images, or archives with labels inside."""

from __future__ import annotations

import logging

from training.data.archives import pairs
from training.data.archives.archive import TAR, Archive, Shards
from training.data.archives.containers import BucketFile, Container, DiskFile
from training.data.disk import DiskSource
from training.data.labelled import Labelled
from training.data.lists import ListFile
from training.data.names import METADATA
from training.data.remote import BucketSource
from training.data.source import Tree
from training.errors import DataError

logger = logging.getLogger(__name__)


def understand(place: Tree | ListFile) -> Tree | Labelled:
    """Return the labelled images of `place`, or the folder whose folders are classes or parts.

    Raises:
        DataError: it can't be read, or its list or labels can't be used.
    """
    if isinstance(place, ListFile):
        return place.read()
    if isinstance(place, Archive):
        paired = pairs.labelled(place)
        if paired is not None:
            return paired
        place = place.unwrapped()
    folders, loose = place.top_level()
    for name in METADATA:
        if name in loose:
            listed = ListFile(place, name, place)
            if listed.has_labels() or not folders:
                return listed.read()
            logger.info("%s has no column for the label; the folders are the classes", listed)
    shards = [name for name in loose if name.lower().endswith(TAR)]
    return understand(_shards(place, shards)) if shards and not folders else place


def _shards(folder: Tree, names: list[str]) -> Archive:
    containers: list[Container]
    if isinstance(folder, DiskSource):
        containers = [DiskFile(folder.root / name) for name in names]
    elif isinstance(folder, BucketSource):
        containers = [BucketFile(folder.url / name) for name in names]
    else:
        raise DataError(f"{folder} holds archives ({names[0]}); unpack it, and pass the folder")
    return Archive(Shards(tuple(containers)))
