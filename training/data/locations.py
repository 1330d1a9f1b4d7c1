"""Find the images that a configuration names: its parts, its cache, and that its results lie outside of them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from training.config import Config, flag
from training.data import builtin, tables
from training.data.archives.archive import SUFFIXES, Archive, Shards
from training.data.archives.containers import BucketFile, Container, DiskFile
from training.data.archives.shards import expand
from training.data.contents import understand
from training.data.decoders import end_unguarded
from training.data.disk import DiskSource
from training.data.labelled import Labelled
from training.data.layout import parts_in
from training.data.lists import ListFile
from training.data.names import as_text
from training.data.remote import BucketSource
from training.data.source import Tree
from training.errors import DataError, UsageError
from training.fields import DATASETS
from training.url import Url, is_url, parse

logger = logging.getLogger(__name__)

_APART = ("validation", "test")
"""The parts that may have a folder of their own."""


def sources(config: Config) -> dict[str, Tree | Labelled]:
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
        found: dict[str, Tree | Labelled] = {"train": DiskSource(train)}
        if test is not None:
            found["test"] = DiskSource(test)
    else:
        source = _open(config.data, "data", config)
        found = (parts_in(source) if config.layout == "auto" or isinstance(source, Labelled) else {}) or {
            "train": source
        }
    given = [text for text in (config.data, config.validation_data, config.test_data) if text]
    if config.images_root and not any(isinstance(locate(text), ListFile) for text in given):
        raise UsageError("--images-root is for lists of images, and none is given; leave it out")
    for part in _APART:
        option = f"{part}_data"
        if text := getattr(config, option):
            if part in found:
                logger.info("%s replaces the %s images of --data", flag(option), part)
            found[part] = _of_part(part, _open(text, option, config))
    return {part: found[part] for part in ("train", *_APART) if part in found}


def _open(text: str, option: str, config: Config) -> Tree | Labelled:
    place = locate(text, flag(option), config.images_root)
    if config.layout == "classes" and not isinstance(place, ListFile):
        return place.unwrapped() if isinstance(place, Archive) else place
    return understand(place)


def _of_part(part: str, source: Tree | Labelled) -> Tree | Labelled:
    """Return the images that a list has for `part`, if it is divided, or all of another source."""
    parts = source.divided() if isinstance(source, Labelled) else {}
    if parts and part not in parts:
        raise DataError(f"{source} has no images for {part}")
    return parts.get(part, source)


def locate(text: str, option: str = "--data", images_root: str | None = None) -> Tree | ListFile:
    """Return what `option` names, on disk or in object storage: a folder, an archive or a list. Reads nothing.

    Args:
        text: a path or a URL, also a pattern for several archives (`shards.expand`).
        option: for messages.
        images_root: the folder that the paths in a list begin in; by default that of the list.

    Raises:
        UsageError: the URL or the pattern is invalid.
    """
    is_file = is_url(text) or not Path(text).is_dir()
    if is_file and text.lower().endswith(SUFFIXES):
        return Archive(Shards(tuple(_file(name, option) for name in expand(text, option))))
    if is_file and text.lower().endswith(tables.SUFFIXES):
        folder, file = _split(text, option)
        return ListFile(folder, file, _folder(images_root, flag("images_root")) if images_root else folder)
    return _folder(text, option)


def _folder(text: str, option: str) -> Tree:
    return BucketSource(parse(text, option)) if is_url(text) else DiskSource(Path(text))


def _file(text: str, option: str) -> Container:
    return BucketFile(parse(text, option)) if is_url(text) else DiskFile(Path(text))


def _split(text: str, option: str) -> tuple[Tree, str]:
    if not is_url(text):
        return DiskSource(Path(text).parent), Path(text).name
    url = parse(text, option)
    folder, _, file = url.prefix.rpartition("/")
    return BucketSource(Url(url.scheme, url.bucket, folder)), file


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
