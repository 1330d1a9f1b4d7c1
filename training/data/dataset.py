"""Load the images that a configuration names: decode them, remove duplicates, divide them, describe them."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from training.config import Config
from training.data import exclusions
from training.data.decoded import DecodedImages
from training.data.decoding import decode_folder
from training.data.folder import ImageFolder, scan
from training.data.imbalance import class_weights, imbalance_ratio, treatment
from training.data.layout import refuse_alike
from training.data.locations import cache_dir, data_name, data_root, sources
from training.data.names import as_text
from training.data.source import Rejected, Source
from training.data.split import group_duplicates, group_files, join_groups, label_conflicts, split
from training.errors import DataError

logger = logging.getLogger(__name__)

_PIXELS_AT_ONCE = 128 * 128**2
"""For example 41 images of 224 x 224."""


@dataclass(frozen=True)
class Part:
    """The samples of one part: `rows` of `images` and their `labels`, both (N,) int."""

    images: DecodedImages
    rows: np.ndarray
    labels: np.ndarray
    file_sizes: np.ndarray
    """Bytes of the files, (N,) int."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, samples: np.ndarray | slice) -> np.ndarray:
        """Return the images of `samples`, (n, S, S, 3) uint8."""
        return self.images[self.rows[samples]]

    def select(self, samples: np.ndarray) -> Part:
        """Return a part of `samples` alone."""
        return Part(self.images, self.rows[samples], self.labels[samples], self.file_sizes[samples])

    @property
    def batch_size(self) -> int:
        """How many images are classified at once: fewer if they are large, to limit the memory of feature maps."""
        return max(1, min(128, _PIXELS_AT_ONCE // self.images.size**2))

    def batches(self) -> Iterator[np.ndarray]:
        """Yield all images in order, at most `batch_size` at a time."""
        size = self.batch_size
        for start in range(0, len(self), size):
            yield self[start : start + size]


@dataclass(frozen=True)
class Dataset:
    """Class names in label order, the parts "train", "validation" (not with `refit`) and "test", and a summary."""

    class_names: list[str]
    parts: dict[str, Part]
    balance: str
    summary: dict[str, Any]
    """The report's section "data"."""
    folders: dict[str, ImageFolder]
    """For each part, the folder whose files its rows refer to."""


@dataclass(frozen=True)
class _Decoded:
    """The usable images of one source."""

    folder: ImageFolder
    part: Part
    cached: bool
    excluded: int = 0

    @property
    def digests(self) -> np.ndarray:
        """Content hash of each usable image, (N, B) uint8."""
        return self.part.images.digests[self.part.rows]

    @property
    def rejected(self) -> list[Rejected]:
        return self.folder.rejected + self.part.images.rejected

    def select(self, mask: np.ndarray) -> _Decoded:
        return replace(self, part=self.part.select(np.flatnonzero(mask)))


def load(config: Config) -> Dataset:
    """Find, decode and divide the images of `config`.

    Raises:
        DataError: the data can't be trained on; the message says why.
    """
    started = time.perf_counter()
    decoded = _decode_all(config)
    seconds = time.perf_counter() - started
    rejected = [file for one in decoded.values() for file in one.rejected]
    refuse_rejected(rejected, config)
    cached = all(one.cached for one in decoded.values())
    excluded = sum(one.excluded for one in decoded.values())
    leaked = _leave_out_leaks(decoded)
    if config.min_images:
        _leave_out_small_classes(decoded, config.min_images)

    main = decoded["train"]
    class_names = main.folder.class_names
    groups = group_duplicates(main.digests)
    kept_together = groups
    if config.group:
        files = [main.folder.files[row] for row in main.part.rows]
        kept_together = join_groups(groups, group_files(files, config.group))
    fractions = {"validation": config.validation_fraction, "test": config.test_fraction}
    fractions = {name: fraction for name, fraction in fractions.items() if name not in decoded}
    indices = split(main.part.labels, kept_together, fractions, class_names, config.seed)
    if config.refit and "validation" in indices:
        indices["train"] = np.sort(np.concatenate([indices["train"], indices.pop("validation")]))
    elif config.refit:
        logger.info("the validation images have a folder of their own; --refit leaves them out")
        del decoded["validation"]
    parts = {name: main.part.select(chosen) for name, chosen in indices.items()}
    parts |= {name: one.part for name, one in decoded.items() if name != "train"}
    parts = {name: parts[name] for name in ("train", "validation", "test") if name in parts}

    counts = np.bincount(parts["train"].labels, minlength=len(class_names))
    balance = treatment(config.balance, counts)
    weights = class_weights(counts) if balance == "class-weights" else None
    summary = {
        "name": data_name(config),
        "root": data_root(config),
        "classes": class_names,
        "images": sum(len(part) for part in parts.values()),
        "image_size": config.image_size,
        "splits": {name: _counts(part, class_names) for name, part in parts.items()},
        "imbalance": {
            "ratio": imbalance_ratio(counts),
            "treatment": balance,
            "class_weights": None if weights is None else _named(class_names, weights),
        },
        "duplicates": len(groups) - len(np.unique(groups)),
        "label_conflicts": _conflicts(main, groups),
        "rejected": [{"file": as_text(r.file), "code": r.code, "reason": r.reason} for r in rejected],
        "leaked": leaked,
        "excluded": excluded,
        "fingerprint": _fingerprint(class_names, parts),
        "decode_seconds": seconds,
        "cached": cached,
    }
    _tell(summary, rejected)
    return Dataset(class_names, parts, balance, summary, {name: decoded.get(name, main).folder for name in parts})


def load_whole(config: Config) -> dict[str, tuple[Part, ImageFolder]]:
    """Decode the images of `config` without dividing them.

    Returns:
        The option that names the folder ("data", "validation-data" or "test-data") -> its images.

    Raises:
        DataError: a folder can't be used, or has no usable image.
    """
    return {_option(name): (one.part, one.folder) for name, one in _decode_all(config).items()}


def load_part(source: Source, config: Config, class_names: list[str]) -> tuple[Part, list[Rejected]]:
    """Decode all images of `source` as one part, with the labels of `class_names`."""
    decoded = _decode(source, config, class_names)
    refuse_rejected(decoded.rejected, config)
    return decoded.part, decoded.rejected


def refuse_rejected(rejected: list[Rejected], config: Config) -> None:
    """End a strict run that would leave out files.

    Raises:
        DataError: `config.strict` is set and there are `rejected` files.
    """
    if rejected and config.strict:
        raise DataError(f"--strict: {as_text(rejected[0].file)}: {rejected[0].reason} ({len(rejected)} such files)")


def _option(part: str) -> str:
    return "data" if part == "train" else f"{part}-data"


def _decode_all(config: Config) -> dict[str, _Decoded]:
    excluded = exclusions.read(Path(config.exclude)) if config.exclude else {}
    decoded: dict[str, _Decoded] = {}
    for name, source in sources(config).items():
        class_names = decoded["train"].folder.class_names if decoded else None
        decoded[name] = _decode(source, config, class_names, excluded.get(_option(name), ()))
    listed = sum(map(len, excluded.values()))
    found = sum(one.excluded for one in decoded.values())
    if listed:
        logger.info("%d files left out, as listed in %s", found, config.exclude)
    if found < listed:
        logger.warning("%s lists %d files that don't exist", config.exclude, listed - found)
    return decoded


def _decode(
    source: Source, config: Config, class_names: list[str] | None = None, excluded: Collection[str] = ()
) -> _Decoded:
    folder = scan(source, class_names)
    if class_names is None and config.layout == "auto" and config.group != "folder":
        refuse_alike(folder)
    _refuse_one_class(folder)
    decoders = config.decoders or len(os.sched_getaffinity(0))
    images, cached = decode_folder(folder, config.image_size, cache_dir(config), decoders)
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
    return _Decoded(folder, part, cached, len(rows) - len(kept))


def _refuse_one_class(folder: ImageFolder) -> None:
    if len(folder.class_names) < 2:
        name = folder.class_names[0] if folder.class_names else "none"
        raise DataError(f"{folder.source} has one class only ({name}); a classifier needs at least two")


def _leave_out_leaks(decoded: dict[str, _Decoded]) -> int:
    """Leave the images of each part out of the parts before it; return their number."""
    leaked = 0
    names = list(decoded)
    for i, name in enumerate(names):
        for later in names[i + 1 :]:
            leaks = np.isin(_as_scalars(decoded[name].digests), _as_scalars(decoded[later].digests))
            if not leaks.any():
                continue
            leaked += int(leaks.sum())
            called = "training" if name == "train" else name
            logger.warning(
                "%d %s images are also in the %s folder; training leaves them out", leaks.sum(), called, later
            )
            decoded[name] = decoded[name].select(~leaks)
            if leaks.all():
                raise DataError(f"every image of {decoded[name].folder.source} is also in the {later} folder")
    return int(leaked)


def _leave_out_small_classes(decoded: dict[str, _Decoded], least: int) -> None:
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


def _as_scalars(digests: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(digests).view(f"S{digests.shape[1]}").ravel()


def _counts(part: Part, class_names: list[str]) -> dict[str, int]:
    return _named(class_names, np.bincount(part.labels, minlength=len(class_names)))


def _named(class_names: list[str], values: np.ndarray) -> dict[str, Any]:
    return dict(zip(class_names, values.tolist(), strict=True))


def _conflicts(decoded: _Decoded, groups: np.ndarray) -> list[dict[str, list[str]]]:
    names, files, part = decoded.folder.class_names, decoded.folder.files, decoded.part
    return [
        {
            "files": [as_text(files[part.rows[i]]) for i in samples],
            "classes": sorted({names[part.labels[i]] for i in samples}),
        }
        for samples in label_conflicts(part.labels, groups)
    ]


def _fingerprint(class_names: list[str], parts: dict[str, Part]) -> str:
    """Return a digest of the samples of each part, by content and class, independent of file names and order."""
    digest = hashlib.sha256("\0".join(class_names).encode())
    for name, part in sorted(parts.items()):
        lines = np.column_stack([part.labels.astype("<u4").view("u1").reshape(-1, 4), part.images.digests[part.rows]])
        digest.update(name.encode() + np.sort(_as_scalars(lines.astype(np.uint8))).tobytes())
    return digest.hexdigest()


def _tell(summary: dict[str, Any], rejected: Sequence[Rejected]) -> None:
    parts = ", ".join(f"{sum(counts.values()):,} {name}" for name, counts in summary["splits"].items())
    how = "from the cache" if summary["cached"] else f"decoded in {summary['decode_seconds']:.1f} s"
    logger.info("%s images of %d classes (%s), %s", f"{summary['images']:,}", len(summary["classes"]), parts, how)
    if rejected:
        codes = ", ".join(f"{count} {code}" for code, count in Counter(r.code for r in rejected).most_common())
        logger.warning("%d files left out (%s); the report lists them", len(rejected), codes)
    if summary["label_conflicts"]:
        logger.warning("%d images have more than one label; the report lists them", len(summary["label_conflicts"]))
    imbalance = summary["imbalance"]
    if imbalance["treatment"] != "none":
        logger.info(
            "the largest class has %.1f times the images of the smallest; balanced by %s",
            imbalance["ratio"],
            imbalance["treatment"],
        )
