"""Tell the parts of a data set from its classes: a folder may hold train, validation and test folders of classes."""

from __future__ import annotations

import logging

from training.data.contents import understand
from training.data.folder import ImageFolder
from training.data.labelled import Labelled
from training.data.names import part_of, some
from training.data.source import Tree
from training.errors import DataError

logger = logging.getLogger(__name__)

_OPTIONS = {"train": "--data", "validation": "--validation-data", "test": "--test-data"}


def parts_in(source: Tree | Labelled) -> dict[str, Tree | Labelled]:
    """Return the folders "train", "validation" and "test" of a data set that is divided already; none for classes.

    Folders are parts if all have the name of a part, or if one that has it shares a class with another. Labelled images
    have the parts that their list says, or else their folders.

    Raises:
        DataError: the folders are parts, but not one of each kind, or without classes; the message gives the options.
    """
    if isinstance(source, Labelled):
        return {**source.by_folders().divided()}
    folders, _ = source.top_level()
    kinds = {name: part_of(name) for name in folders}
    if not any(kinds.values()):
        return {}
    inside = {name: understand(_innermost(source.below(name))) for name in folders}
    classes = {name: _classes(part) for name, part in inside.items()}
    shared = any(
        classes[name] & classes[other] for name in folders for other in folders if name != other and kinds[name]
    )
    if not shared and not all(kinds.values()):
        return {}
    parts = {kind: inside[name] for name, kind in kinds.items() if kind}
    if len(parts) < len(folders) or "train" not in parts or not all(classes.values()):
        options = " ".join(f"{_OPTIONS[kind]} {parts[kind]}" for kind in _OPTIONS if kind in parts)
        raise DataError(
            f"{source} holds parts of a data set ({some(folders)}), not classes; name the folder of each part, "
            f"as in: {options} (or, if these are the classes: --layout classes)"
        )
    logger.info("%s is divided already: %s", source, ", ".join(f"{part} is for {kind}" for kind, part in parts.items()))
    return parts


def refuse_alike(folder: ImageFolder) -> None:
    """Refuse classes that all have the same sub-folders, which are rather the parts of a data set under any name.

    Raises:
        DataError: they have; the message gives the options.
    """
    inside: dict[str, set[str]] = {}
    for file in folder.files:
        name, *below = file.split("/")
        inside.setdefault(name, set()).update(below[:1] if len(below) > 1 else ())
    first, *others = inside
    if others and len(inside[first]) > 1 and all(inside[name] == inside[first] for name in others):
        raise DataError(
            f"the folders of {folder.source} ({some([*inside])}) have the same sub-folders "
            f"({some(sorted(inside[first]))}); if those are the classes, pass one folder as --data and others as "
            "--validation-data and --test-data; if not, pass --layout classes (or --group folder)"
        )


def _classes(part: Tree | Labelled) -> set[str]:
    return {sample.label for sample in part.samples} if isinstance(part, Labelled) else set(part.top_level()[0])


def _innermost(source: Tree) -> Tree:
    """Unwrap an archive's folder within a folder, such as training_set/training_set."""
    folders, loose = source.top_level()
    return _innermost(source.below(folders[0])) if len(folders) == 1 and not loose and part_of(folders[0]) else source
