"""List the candidate images of a source, class by class, and refuse a folder of another form. Decodes nothing."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass, field

import numpy as np

from training.data.labelled import Labelled
from training.data.names import as_text, class_of, some
from training.data.source import Rejected, Source, Stat, Tree
from training.data.split import groups_of
from training.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageFolder:
    """The candidate images of a source: `labels[i]` indexes `class_names` and belongs to `files[i]`."""

    source: Source
    class_names: list[str]
    files: list[str]
    labels: list[int]
    stats: list[Stat]
    rejected: list[Rejected] = field(default_factory=list)
    groups: list[str | None] | None = None
    """The group that a list gives each file; None if it gives none."""

    def groups_by(self, pattern: str | None, rows: np.ndarray) -> list[str | None] | None:
        """Return the group of each file of `rows`, by the `pattern` for its path or by the list; None without both."""
        if pattern:
            return groups_of([self.files[row] for row in rows], pattern)
        return None if self.groups is None else [self.groups[row] for row in rows]


def scan(source: Tree | Labelled, class_names: list[str] | None = None) -> ImageFolder:
    """List every regular file below each class folder, without junk, in a fixed order. Pass over empty folders.

    Args:
        source: its folders are the classes, or its images have labels.
        class_names: the classes that may occur, in label order; by default the folders with files, sorted.

    Raises:
        DataError: the folder doesn't exist or has no class folders, images lie beside the class folders, a class isn't
            in `class_names` or has two folders, or storage can't be reached or refuses access.
    """
    if isinstance(source, Labelled):
        return _labelled(source, class_names)
    folders, loose = source.top_level()
    loose_images = [name for name in loose if source.is_image(name)]
    if not folders and not loose_images:
        raise DataError(
            f"{source} has no folders; it needs one folder of images per class, or a list of labels (metadata.csv)"
        )
    if not folders:
        raise DataError(
            f"{source} holds images but no folders; put them into one folder per class, or pass a list of labels: "
            "--data LIST.csv"
        )
    if loose_images:
        raise DataError(
            f"{source} mixes class folders with loose images ({as_text(loose_images[0])}, {len(loose_images)} in all); "
            "move each into the folder of its class"
        )
    listed = list(source.files(folders))
    if not listed:
        raise DataError(f"{source} has class folders ({some(folders)}) but no images in them")
    filled = {file.partition("/")[0] for file, _ in listed}
    empty = [name for name in folders if name not in filled]
    if empty:
        logger.warning("%s: folders without images are passed over: %s", source, some(empty))
    label_of = {class_of(name): label for label, name in enumerate(class_names or _classes(source, filled))}
    unknown = sorted(name for name in filled if class_of(name) not in label_of)
    if unknown:
        raise DataError(f"{source}/{unknown[0]} is no class of the training data; known: {some([*label_of])}")
    return ImageFolder(
        source,
        class_names or [*label_of],
        [file for file, _ in listed],
        [label_of[class_of(file.partition("/")[0])] for file, _ in listed],
        [stat for _, stat in listed],
        [Rejected(name, "foreign", "beside the class folders") for name in loose],
    )


def _labelled(source: Labelled, class_names: list[str] | None) -> ImageFolder:
    samples = source.samples
    names = class_names or sorted({sample.label for sample in samples})
    label_of = {class_of(name): label for label, name in enumerate(names)}
    unknown = sorted({sample.label for sample in samples} - label_of.keys())
    if unknown:
        raise DataError(f"{source}: {unknown[0]} is no class of the training data; known: {some([*label_of])}")
    groups = [sample.group for sample in samples]
    return ImageFolder(
        source,
        names,
        [sample.file for sample in samples],
        [label_of[sample.label] for sample in samples],
        [sample.stat for sample in samples],
        source.rejected,
        groups if any(groups) else None,
    )


def _classes(source: Source, folders: set[str]) -> list[str]:
    names = sorted(map(class_of, folders))
    for name, following in itertools.pairwise(names):
        if name == following:
            raise DataError(
                f"{source} has two folders called {name}, spelt with different code points (Unicode NFC and NFD); "
                "move the images into one of them"
            )
    return names
