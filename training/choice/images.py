"""The images of a comparison: none of the test part, the same for every candidate, at each candidate's size."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from training.config import Config
from training.data.dataset import Dataset, load
from training.data.folder import scan
from training.data.locations import sources
from training.data.part import Part
from training.data.split import folds, group_duplicates, join_groups, number_groups

_MEASURED = 60
"""Files whose headers tell how large the images of a folder are."""


@dataclass(frozen=True)
class Images:
    """The images outside of the test part: their rows in each decoded folder, labels, and groups that stay together."""

    by_size: dict[int, Dataset]
    rows: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def classes(self) -> int:
        """Their number."""
        return len(next(iter(self.by_size.values())).class_names)

    def sample(self, most: int, seed: int) -> np.ndarray:
        """Return about `most` samples, or all of fewer: each class and its groups in proportion, sorted."""
        parts = -(-len(self) // most)
        return np.flatnonzero(folds(self.labels, self.groups, parts, seed) == 0)

    def dataset(self, size: int, samples: np.ndarray) -> Dataset:
        """Return the images of `samples` at `size` pixels as the training part of a data set without other parts."""
        data = self.by_size[size]
        part = data.parts["train"]
        chosen = Part(part.images, self.rows[samples], self.labels[samples], np.zeros(len(samples), np.int64))
        return replace(data, parts={"train": chosen})


def load_all(config: Config, wanted: list[Config]) -> Images:
    """Decode the images at the size of each of `wanted`, and keep those that are a test image at none of them.

    Copies are found by decoded pixels, so images may be copies at one size and differ at another. They share a group.

    Args:
        config: of the run.
        wanted: a configuration for each size.

    Raises:
        DataError: the data can't be trained on.
    """
    by_size: dict[int, Dataset] = {}
    sizes = [one.image_size for one in wanted]
    for one in wanted:
        with _quiet():
            by_size[one.image_size] = load(one, ahead=sizes)
    rows: np.ndarray | None = None
    labels = np.empty(0, np.int64)
    for data in by_size.values():
        parts = [data.parts["train"]]
        if "validation" in data.parts and data.folders["validation"] is data.folders["train"]:
            parts.append(data.parts["validation"])
        here = np.concatenate([part.rows for part in parts])
        order = np.argsort(here)
        its_labels = np.concatenate([part.labels for part in parts])[order]
        here = here[order]
        if rows is None:
            rows, labels = here, its_labels
        else:
            both = np.isin(rows, here)
            rows, labels = rows[both], labels[both]
    assert rows is not None
    groups = np.arange(len(rows))
    for data in by_size.values():
        groups = join_groups(groups, group_duplicates(data.parts["train"].images.digests[rows]))
    names = next(iter(by_size.values())).folders["train"].groups_by(config.group, rows)
    if names is not None:
        groups = join_groups(groups, number_groups(names))
    return Images(by_size, rows, labels, groups)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what loading says to the run itself, which loads its images again."""
    logger = logging.getLogger("training.data")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class Shape(NamedTuple):
    """Medians of a sample of images; zeros if none can be read."""

    side: int
    """The longer side, in pixels."""
    ratio: float
    """The longer side over the shorter one."""


def shape(config: Config) -> Shape:
    """Measure a sample of the images of `config`.

    Raises:
        DataError: the folder can't be used.
    """
    with _quiet():
        folder = scan(sources(config)["train"])
    chosen = np.linspace(0, len(folder.files) - 1, min(_MEASURED, len(folder.files))).astype(int)
    found = []
    contents = folder.source.read([folder.files[i] for i in chosen], [folder.stats[i] for i in chosen])
    for content in contents:
        if isinstance(content, (str, bytes)):
            with contextlib.suppress(Exception), warnings.catch_warnings():  # decoding tells what is wrong with a file
                warnings.simplefilter("ignore")
                with Image.open(content if isinstance(content, str) else io.BytesIO(content)) as image:
                    found.append((max(image.size), max(image.size) / min(image.size)))
    side, ratio = np.median(found, axis=0) if found else (0, 0.0)
    return Shape(int(side), float(ratio))
