"""Load the images that a configuration names: decode them, remove duplicates, divide them, describe them."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.config import Config
from training.data.folder import ImageFolder
from training.data.imbalance import LOGIT_ADJUSTMENT, class_weights, imbalance_ratio, treatment
from training.data.labelled import Labelled
from training.data.locations import data_name, data_root
from training.data.names import as_text
from training.data.part import Part
from training.data.source import Rejected, Tree
from training.data.split import group_duplicates, join_groups, label_conflicts, number_groups, split
from training.data.usable import (
    Decoded,
    as_scalars,
    decode,
    decode_all,
    leave_out_leaks,
    leave_out_small_classes,
    name_shared_groups,
    option_of,
    refuse_rejected,
)
from training.errors import DataError

__all__ = ["Dataset", "Part", "load", "load_part", "load_whole"]

logger = logging.getLogger(__name__)


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


def load(config: Config, ahead: Sequence[int] = ()) -> Dataset:
    """Find, decode and divide the images of `config`; `ahead` are image sizes that will be asked for next.

    Raises:
        DataError: the data can't be trained on; the message says why.
    """
    started = time.perf_counter()
    # The same images give the same parts and batches, whatever they are called and wherever they come from.
    decoded = {name: one.by_content() for name, one in decode_all(config, ahead).items()}
    seconds = time.perf_counter() - started
    rejected = [file for one in decoded.values() for file in one.rejected]
    refuse_rejected(rejected, config)
    cached = all(one.cached for one in decoded.values())
    excluded = sum(one.excluded for one in decoded.values())
    leaked = leave_out_leaks(decoded)
    if config.min_images:
        leave_out_small_classes(decoded, config.min_images)

    main = decoded["train"]
    class_names = main.folder.class_names
    groups = group_duplicates(main.digests)
    kept_together = groups
    names = main.groups(config.group)
    if names is not None:
        if config.group and not any(names):
            first = as_text(main.folder.files[0])
            raise DataError(f"--group {config.group} finds no group in any file's path, such as {first}")
        kept_together = join_groups(groups, number_groups(names))
        name_shared_groups(decoded, config.group)
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
        "resize": config.squaring,
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
    return {option_of(name): (one.part, one.folder) for name, one in decode_all(config).items()}


def load_part(source: Tree | Labelled, config: Config, class_names: list[str]) -> tuple[Part, list[Rejected]]:
    """Decode all images of `source` as one part, with the labels of `class_names`."""
    decoded = decode(source, config, class_names)
    refuse_rejected(decoded.rejected, config)
    return decoded.part, decoded.rejected


def _counts(part: Part, class_names: list[str]) -> dict[str, int]:
    return _named(class_names, np.bincount(part.labels, minlength=len(class_names)))


def _named(class_names: list[str], values: np.ndarray) -> dict[str, Any]:
    return dict(zip(class_names, values.tolist(), strict=True))


def _conflicts(decoded: Decoded, groups: np.ndarray) -> list[dict[str, list[str]]]:
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
        digest.update(name.encode() + np.sort(as_scalars(lines.astype(np.uint8))).tobytes())
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
    if imbalance["treatment"] not in ("none", LOGIT_ADJUSTMENT):
        logger.info(
            "the largest class has %.1f times the images of the smallest; balanced by %s",
            imbalance["ratio"],
            imbalance["treatment"],
        )
