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

from training.config import DATASETS, Config
from training.data import builtin, exclusions
from training.data.decoded import DecodedImages
from training.data.decoding import decode_folder
from training.data.disk import DiskSource
from training.data.folder import ImageFolder, as_text, scan
from training.data.imbalance import class_weights, imbalance_ratio, treatment
from training.data.remote import BucketSource
from training.data.source import Rejected, Source
from training.data.split import group_duplicates, label_conflicts, split
from training.errors import DataError
from training.url import is_url, parse

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


def load(config: Config) -> Dataset:
    """Find, decode and divide the images of `config`.

    Raises:
        DataError: the data can't be trained on; the message says why.
    """
    started = time.perf_counter()
    source, test_source = _sources(config)
    main, test = _decode_both(source, test_source, config)
    seconds = time.perf_counter() - started

    digests = main.part.images.digests[main.part.rows]
    groups = group_duplicates(digests)
    rejected = main.folder.rejected + main.part.images.rejected
    leaked = 0
    if test is not None:
        rejected += test.folder.rejected + test.part.images.rejected
        in_test = np.isin(_as_scalars(digests), _as_scalars(test.part.images.digests[test.part.rows]))
        leaked = int(in_test.sum())
        if leaked:
            logger.warning("%d training images are also in the test folder; training leaves them out", leaked)
        main = replace(main, part=main.part.select(np.flatnonzero(~in_test)))
        groups = groups[~in_test]
    if rejected and config.strict:
        raise DataError(f"--strict: {rejected[0].file}: {rejected[0].reason} ({len(rejected)} such files)")

    fractions = {"validation": config.validation_fraction}
    if test is None:
        fractions["test"] = config.test_fraction
    class_names = main.folder.class_names
    if len(class_names) < 2:
        raise DataError(f"{source} has one class only ({class_names[0]}); a classifier needs at least two")
    indices = split(main.part.labels, groups, fractions, class_names, config.seed)
    if config.refit:
        indices["train"] = np.sort(np.concatenate([indices["train"], indices.pop("validation")]))
    parts = {name: main.part.select(chosen) for name, chosen in indices.items()}
    if test is not None:
        parts["test"] = test.part

    counts = np.bincount(parts["train"].labels, minlength=len(class_names))
    balance = treatment(config.balance, counts)
    weights = class_weights(counts) if balance == "class-weights" else None
    summary = {
        "name": config.data if config.data in DATASETS else source.name,
        "root": str(source),
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
        "excluded": main.excluded + (test.excluded if test is not None else 0),
        "fingerprint": _fingerprint(class_names, parts),
        "decode_seconds": seconds,
        "cached": main.cached and (test is None or test.cached),
    }
    _tell(summary, rejected)
    folders = dict.fromkeys(indices, main.folder) | ({"test": test.folder} if test is not None else {})
    return Dataset(class_names, parts, balance, summary, folders)


def load_whole(config: Config) -> list[tuple[Part, ImageFolder]]:
    """Decode the images of `config.data` and, if given, of `config.test_data`, without dividing them.

    Raises:
        DataError: a folder can't be used, or has no usable image.
    """
    decoded = _decode_both(*_sources(config), config)
    return [(one.part, one.folder) for one in decoded if one is not None]


def load_part(source: Source, config: Config, class_names: list[str]) -> tuple[Part, list[Rejected]]:
    """Decode all images of `source` as one part, with the labels of `class_names`."""
    decoded = _decode(source, config, class_names)
    return decoded.part, decoded.folder.rejected + decoded.part.images.rejected


def _sources(config: Config) -> tuple[Source, Source | None]:
    if not config.data:
        raise DataError("no data: pass --data DIR, a folder with one folder of images per class")
    test = locate(config.test_data) if config.test_data else None
    if config.data in DATASETS:
        train, own_test = builtin.prepare(config.data, cache_dir(config))
        return DiskSource(train), test or (DiskSource(own_test) if own_test else None)
    return locate(config.data), test


def locate(text: str) -> Source:
    """Return the source that an option names, a folder on disk or in object storage."""
    return BucketSource(parse(text, "--data")) if is_url(text) else DiskSource(Path(text))


def cache_dir(config: Config) -> Path:
    """Return the folder of decoded images and built-in data sets."""
    if config.cache_dir:
        return Path(config.cache_dir)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "image-classifier"


def _decode_both(source: Source, test_source: Source | None, config: Config) -> tuple[_Decoded, _Decoded | None]:
    excluded = exclusions.read(Path(config.exclude)) if config.exclude else {"data": set(), "test-data": set()}
    main = _decode(source, config, None, excluded["data"])
    test = None
    if test_source is not None:
        test = _decode(test_source, config, main.folder.class_names, excluded["test-data"])
    listed = sum(map(len, excluded.values()))
    found = main.excluded + (test.excluded if test is not None else 0)
    if listed:
        logger.info("%d files left out, as listed in %s", found, config.exclude)
    if found < listed:
        logger.warning("%s lists %d files that don't exist", config.exclude, listed - found)
    return main, test


def _decode(
    source: Source, config: Config, class_names: list[str] | None = None, excluded: Collection[str] = ()
) -> _Decoded:
    folder = scan(source, class_names)
    if len(folder.class_names) < 2:
        raise DataError(f"{source} has one class only ({folder.class_names[0]}); a classifier needs at least two")
    decoders = config.decoders or len(os.sched_getaffinity(0))
    images, cached = decode_folder(folder, config.image_size, cache_dir(config), decoders)
    rows = np.delete(np.arange(len(folder.files)), images.rejected_rows)
    if not len(rows):
        first = images.rejected[0]
        raise DataError(f"{source} has no usable image among {len(folder.files)} files; {first.file}: {first.reason}")
    kept = rows
    if excluded:
        # Left out after decoding, so that one cache entry serves every list.
        kept = rows[[folder.files[row] not in excluded for row in rows]]
        if not len(kept):
            raise DataError(f"{config.exclude} leaves out every image of {source}")
    sizes = np.array([size for size, _ in folder.stats])
    part = Part(images, kept, np.array(folder.labels)[kept], sizes[kept])
    return _Decoded(folder, part, cached, len(rows) - len(kept))


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
