"""List the candidate images of a source, class by class, and refuse a folder of another form. Decodes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.data.source import PART_NAMES, Rejected, Source, Stat
from training.errors import DataError


@dataclass(frozen=True)
class ImageFolder:
    """The candidate images of a source: `labels[i]` indexes `class_names` and belongs to `files[i]`."""

    source: Source
    class_names: list[str]
    files: list[str]
    labels: list[int]
    stats: list[Stat]
    rejected: list[Rejected] = field(default_factory=list)


def scan(source: Source, class_names: list[str] | None = None) -> ImageFolder:
    """List every regular file below each class folder, without hidden ones, in a fixed order.

    Args:
        source: its folders are the classes.
        class_names: the classes that may occur, in label order; by default the folders, sorted.

    Raises:
        DataError: the folder doesn't exist or has no class folders, images lie beside the class folders, a class isn't
            in `class_names`, or storage can't be reached or refuses access.
    """
    folders, loose = source.top_level()
    loose_images = [name for name in loose if source.is_image(name)]
    if not folders and not loose_images:
        raise DataError(f"{source} has no folders; it needs one folder of images per class")
    if not folders:
        raise DataError(f"{source} holds images but no folders; put them into one folder per class")
    if loose_images:
        raise DataError(
            f"{source} mixes class folders with loose images ({loose_images[0]}, {len(loose_images)} in all); "
            "move each into the folder of its class"
        )
    if class_names is None:
        _refuse_parts(source, folders)
        class_names = folders
    unknown = sorted(set(folders) - set(class_names))
    if unknown:
        raise DataError(f"{source}/{unknown[0]} is no class of the training data; known: {_some(class_names)}")

    found = ImageFolder(source, class_names, [], [], [])
    found.rejected.extend(Rejected(name, "foreign", "beside the class folders") for name in loose)
    label_of = {name: label for label, name in enumerate(class_names)}
    for file, size_and_stamp in source.files(folders):
        found.files.append(file)
        found.labels.append(label_of[file.partition("/")[0]])
        found.stats.append(size_and_stamp)
    if not found.files:
        raise DataError(f"{source} has class folders ({_some(folders)}) but no images in them")
    return found


def _refuse_parts(source: Source, folders: list[str]) -> None:
    if {name.lower() for name in folders} <= PART_NAMES:
        raise DataError(
            f"{source} holds parts of a data set ({_some(folders)}), not classes; "
            "pass the part to train on as --data and the part to test on as --test-data"
        )


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def as_text(name: str) -> str:
    """Return a file's name as text that can be written: bytes that aren't UTF-8 become \\x escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
