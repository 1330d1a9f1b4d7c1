"""Find the folders that a configuration names: its parts, its cache, and that its results lie outside of them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from training.config import Config, flag
from training.data import builtin
from training.data.decoding import end_unguarded
from training.data.disk import DiskSource
from training.data.layout import parts_in
from training.data.names import as_text
from training.data.remote import BucketSource
from training.data.source import Source
from training.errors import DataError, UsageError
from training.fields import DATASETS
from training.url import is_url, parse

logger = logging.getLogger(__name__)

_APART = ("validation", "test")
"""The parts that may have a folder of their own."""


def sources(config: Config) -> dict[str, Source]:
    """Return the source of "train", and those of "validation" and "test" where they have one of their own.

    Raises:
        DataError: no data is named, it can't be read, or its folders are parts that can't be told apart.
    """
    end_unguarded()
    if not config.data:
        raise DataError("no data: pass --data DIR, a folder with one folder of images per class")
    if config.data in DATASETS:
        if Path(config.data).is_dir():
            logger.warning("--data %s is the built-in data set; for the folder, pass ./%s", config.data, config.data)
        train, test = builtin.prepare(config.data, cache_dir(config))
        found: dict[str, Source] = {"train": DiskSource(train)}
        if test is not None:
            found["test"] = DiskSource(test)
    else:
        source = locate(config.data)
        found = (parts_in(source) if config.layout == "auto" else {}) or {"train": source}
    for part in _APART:
        option = f"{part}_data"
        if given := getattr(config, option):
            if part in found:
                logger.info("%s replaces the %s images of --data", flag(option), part)
            found[part] = locate(given, flag(option))
    return {part: found[part] for part in ("train", *_APART) if part in found}


def locate(text: str, option: str = "--data") -> Source:
    """Return the source that `option` names, a folder on disk or in object storage."""
    return BucketSource(parse(text, option)) if is_url(text) else DiskSource(Path(text))


def data_name(config: Config) -> str:
    """Return what reports, labels and messages call the data set."""
    return config.data if config.data in DATASETS else locate(config.data).name


def data_root(config: Config) -> str:
    """Return the address of the data set as text."""
    return str(cache_dir(config) / config.data) if config.data in DATASETS else str(locate(config.data))


def cache_dir(config: Config) -> Path:
    """Return the folder of decoded images and built-in data sets."""
    if config.cache_dir:
        return Path(config.cache_dir)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "image-classifier"


def keep_outside(out: Path, config: Config) -> None:
    """Refuse to write among the images, where the next training would take reports for images of a class.

    Args:
        out: the folder that the command is going to write to.
        config: names the folders of images, and the cache.

    Raises:
        UsageError: `out` or the cache is in a folder of images.
    """
    for name in ("data", "validation_data", "test_data"):
        text = getattr(config, name)
        if not text or text in DATASETS or is_url(text):
            continue
        for option, folder in (("--out", out), ("--cache-dir", cache_dir(config))):
            if folder.resolve().is_relative_to(Path(text).resolve()):
                raise UsageError(
                    f"{as_text(str(folder))} is inside {flag(name)} {as_text(text)}, whose files are taken for images; "
                    f"pass {option} DIR, a folder outside"
                )
