"""The usable images of each source: decoded, without those that are listed, in a later part or of a small class."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training.config import Config
from training.data import exclusions
from training.data.decoding import decode_folder
from training.data.folder import ImageFolder, scan
from training.data.labelled import Labelled
from training.data.layout import refuse_alike
from training.data.locations import cache_dir, sources
from training.data.names import as_text, some
from training.data.part import Part
from training.data.source import Rejected, Tree
from training.data.split import group_duplicates
from training.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decoded:
    """The usable images of one source."""

    folder: ImageFolder
    part: Part
    cached: bool
    excluded: int = 0

    @property
    def digests(self) -> np.ndarray:
        """Content hash of each usable image, (N, B) uint8."""
        found: np.ndarray = self.part.images.digests[self.part.rows]
        return found

    @property
    def rejected(self) -> list[Rejected]:
        """The files that were left out, each with its reason."""
        return self.folder.rejected + self.part.images.rejected

    def select(self, mask: np.ndarray) -> Decoded:
        """Return the images that `mask`, (N,) bool, is true for."""
        return replace(self, part=self.part.select(np.flatnonzero(mask)))

    def groups(self, pattern: str | None) -> list[str | None] | None:
        """Return each image's group, by the `pattern` for its path or else by the list; None if neither names any."""
        return self.folder.groups_by(pattern, self.part.rows)

    def by_content(self) -> Decoded:
        """Return the images in the order of their labels and encoded files, whatever their names are."""
        contents = as_scalars(self.part.images.contents[self.part.rows])
        return replace(self, part=self.part.select(np.lexsort((contents, self.part.labels))))


def decode_all(config: Config, ahead: Sequence[int] = ()) -> dict[str, Decoded]:
    """Decode the images of each source of `config`, by part; `ahead` are sizes that will be asked for next.

    Raises:
        DataError: a folder can't be used, or has no usable image.
    """
    excluded = exclusions.read(Path(config.exclude)) if config.exclude else {}
    decoded: dict[str, Decoded] = {}
    for name, source in sources(config).items():
        class_names = decoded["train"].folder.class_names if decoded else None
        decoded[name] = decode(source, config, class_names, excluded.get(option_of(name), ()), ahead)
    listed = sum(map(len, excluded.values()))
    found = sum(one.excluded for one in decoded.values())
    if listed:
        logger.info("%d files left out, as listed in %s", found, config.exclude)
    if found < listed:
        logger.warning("%s lists %d files that don't exist", config.exclude, listed - found)
    return decoded


def decode(
    source: Tree | Labelled,
    config: Config,
    class_names: list[str] | None = None,
    excluded: Collection[str] = (),
    ahead: Sequence[int] = (),
) -> Decoded:
    """Decode the images of `source`, except those that `excluded` lists; `class_names` are the classes, if known.

    Raises:
        DataError: the folder can't be used, or has no usable image.
    """
    folder = scan(source, class_names)
    by_folders = not isinstance(source, Labelled)
    if by_folders and class_names is None and config.layout == "auto" and config.group != "folder":
        refuse_alike(folder)
    _refuse_one_class(folder)
    decoders = config.decoders or len(os.sched_getaffinity(0))
    images, cached = decode_folder(
        folder, config.image_size, cache_dir(config), decoders, resize=config.squaring, ahead=ahead
    )
    rows = np.delete(np.arange(len(folder.files)), images.rejected_rows)
    if not len(rows):
        first = images.rejected[0]
        raise DataError(
            f"{source} has no usable image among {len(folder.files)} files; {as_text(first.file)}: {first.reason}"
        )
    kept = rows
    if excluded:
        # Left out after decoding, so that one cache entry serves every list.
        kept = rows[[folder.files[row] not in excluded for row in rows]]
        if not len(kept):
            raise DataError(f"{config.exclude} leaves out every image of {source}")
    sizes = np.array([size for size, _ in folder.stats])
    part = Part(images, kept, np.array(folder.labels)[kept], sizes[kept])
    return Decoded(folder, part, cached, len(rows) - len(kept))


def _refuse_one_class(folder: ImageFolder) -> None:
    if len(folder.class_names) < 2:
        name = folder.class_names[0] if folder.class_names else "none"
        raise DataError(f"{folder.source} has one class only ({name}); a classifier needs at least two")


def leave_out_leaks(decoded: dict[str, Decoded]) -> int:
    """Leave the images of each part out of the parts before it; return their number."""
    leaked = 0
    names = list(decoded)
    for i, name in enumerate(names):
        for later in names[i + 1 :]:
            leaks = np.isin(as_scalars(decoded[name].digests), as_scalars(decoded[later].digests))
            if not leaks.any():
                continue
            leaked += int(leaks.sum())
            logger.warning(
                "%d %s images are also in the %s folder; training leaves them out", leaks.sum(), _called(name), later
            )
            decoded[name] = decoded[name].select(~leaks)
            if leaks.all():
                raise DataError(f"every image of {decoded[name].folder.source} is also in the {later} folder")
    return int(leaked)


def name_shared_groups(decoded: dict[str, Decoded], pattern: str | None) -> None:
    """Warn of groups with images in several folders. They stay there: clips of two folders may have the same number."""
    names = {part: set(one.groups(pattern) or ()) - {None, ""} for part, one in decoded.items()}
    for first, second in itertools.combinations(names, 2):
        shared = sorted(map(str, names[first] & names[second]))
        if shared:
            logger.warning(
                "%d groups are in both the %s and the %s folder (%s); if they are the same, the accuracy is too high",
                len(shared),
                _called(first),
                second,
                some(shared),
            )


def _called(part: str) -> str:
    return "training" if part == "train" else part


def leave_out_small_classes(decoded: dict[str, Decoded], least: int) -> None:
    """Leave out the classes with fewer than `least` distinct training images, in all parts.

    Raises:
        DataError: fewer than two classes remain.
    """
    main = decoded["train"]
    names = main.folder.class_names
    groups = group_duplicates(main.digests)
    counts = [len(np.unique(groups[main.part.labels == label])) for label in range(len(names))]
    small = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < least]
    if not small:
        return
    logger.warning("classes with fewer than %d images are left out: %s", least, ", ".join(small))
    large = np.array(counts) >= least
    label_of = np.cumsum(large) - 1
    kept = [name for name, stays in zip(names, large, strict=True) if stays]
    for part, one in decoded.items():
        chosen = one.select(large[one.part.labels])
        decoded[part] = replace(
            chosen,
            folder=replace(one.folder, class_names=kept),
            part=replace(chosen.part, labels=label_of[chosen.part.labels]),
        )
    _refuse_one_class(decoded["train"].folder)


def option_of(part: str) -> str:
    """Return the option, without dashes, that names the folder of a part."""
    return "data" if part == "train" else f"{part}-data"


def refuse_rejected(rejected: list[Rejected], config: Config) -> None:
    """End a strict run that would leave out files.

    Raises:
        DataError: `config.strict` is set and there are `rejected` files.
    """
    if rejected and config.strict:
        raise DataError(f"--strict: {as_text(rejected[0].file)}: {rejected[0].reason} ({len(rejected)} such files)")


def as_scalars(digests: np.ndarray) -> np.ndarray:
    """Return the rows of `digests` (N, B) as (N,) byte strings, which NumPy can sort and compare."""
    return np.ascontiguousarray(digests).view(f"S{digests.shape[1]}").ravel()
