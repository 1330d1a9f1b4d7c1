"""Images with their labels beside them, as WebDataset writes them: key.jpg with key.cls, key.json or key.txt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from training.data.archives.archive import Archive
from training.data.archives.members import LABELS, Member
from training.data.labelled import Labelled, Sample, Values, find_columns, values_of
from training.data.names import as_text, part_of
from training.data.source import Rejected
from training.errors import DataError

_IMAGES = frozenset(("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "heif", "ppm", "pgm"))
_KEY = re.compile(r"((?:.*/)?[^/.]+)\.([^/]+)", re.DOTALL)
"""A key ends at the first dot of the file's name."""


def labelled(archive: Archive) -> Labelled | None:
    """Return the images of `archive` with the labels beside them; None if it holds class folders.

    It holds pairs if there are .cls files, or if all images lie in one folder, with .json or .txt files.

    Raises:
        DataError: a label can't be used.
    """
    endings, folders = set(), set()
    for name, _, text in archive.shards.members:
        ending = name.rpartition(".")[2].lower()
        if text is not None:
            endings.add(ending)
        elif ending in _IMAGES:
            folders.add(name.rpartition("/")[0])
    if not endings or ("cls" not in endings and len(folders) > 1):
        return None
    samples: list[Sample] = []
    rejected: list[Rejected] = []
    containers = archive.shards.containers
    for images, labels in _keys(archive):
        shard = containers[archive.shards.number_of(images[0])]
        try:
            label, group, part = _values(labels)
        except DataError as error:
            raise DataError(f"{shard}: {as_text(images[0].name)}: {error}") from None
        for image in images:
            name = f"{shard.file_name}/{image.name}" if len(containers) > 1 else image.name
            if label is None:
                rejected.append(
                    Rejected(name, "unlabelled", f"it has no {', '.join(f'.{e}' for e in LABELS)} beside it")
                )
            else:
                samples.append(Sample(name, image.stat, label, group, part or _part_of(shard.file_name)))
    if not samples:
        return None
    return Labelled(archive, str(archive), archive.name, samples, rejected)


def _keys(archive: Archive) -> Iterator[tuple[list[Member], dict[str, bytes]]]:
    """Yield the images of each key with the labels beside them, by their endings. A key doesn't cross archives."""
    found: dict[tuple[int, str], tuple[list[Member], dict[str, bytes]]] = {}
    for member in archive.shards.members:
        key = _KEY.fullmatch(member.name)
        if key is None:
            continue
        ending = key[2].lower()
        if ending not in _IMAGES and (ending not in LABELS or member.text is None):
            continue
        images, labels = found.setdefault((archive.shards.number_of(member), key[1]), ([], {}))
        if member.text is not None and ending in LABELS:
            labels[ending] = member.text
        else:
            images.append(member)
    yield from (pair for pair in found.values() if pair[0])


def _values(labels: dict[str, bytes]) -> Values:
    row: Any = {}
    if "json" in labels:
        try:
            row = json.loads(labels["json"])
        except (ValueError, RecursionError):
            raise DataError("its .json file is no JSON") from None
        row = row if isinstance(row, dict) else {"label": row}
    texts = {ending: labels[ending].decode("utf-8", "surrogateescape") for ending in ("cls", "txt") if ending in labels}
    columns = find_columns(row)
    if "cls" in texts or ("txt" in texts and "label" not in columns):
        row |= {columns.setdefault("label", "label"): texts.get("cls", texts.get("txt"))}
    return values_of(row, columns)


def _part_of(file_name: str) -> str | None:
    """Return the part that an archive's name has among its words, as in photos-train-00012.tar."""
    words = re.split(r"[-_.]", file_name)
    return next((part for word in words if (part := part_of(word))), None)
