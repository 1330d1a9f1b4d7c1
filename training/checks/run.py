"""Run all checks, for a training or for `python -m training check`. Writes no file outside `state`."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from training.checks import duplicates, names, outliers, sizes, wrong_labels
from training.checks.collection import CheckedPart, Collection
from training.config import Config
from training.data.dataset import Dataset
from training.data.exclusions import Suspect
from training.report.check_document import Checks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checked:
    """The report's section, its pictures, and the files to leave out: path below the folder, option, suspect."""

    section: Checks
    pictures: dict[str, bytes]
    suspects: list[tuple[str, str, Suspect]]


def run(images: Collection, config: Config, labels: bool, state: Path) -> Checked:
    """Check `images`. `labels` adds the check that trains networks and saves finished folds in `state`."""
    seconds: dict[str, float] = {}
    section: dict[str, Any] = {"images": len(images), "seconds": seconds}
    import sklearn.covariance  # noqa: F401  (loads SciPy's BLAS, because the limit below applies to loaded libraries only)
    from threadpoolctl import threadpool_limits

    # The matrices are small, so that threads mostly wait for each other: up to 80 times as long on a busy machine.
    with threadpool_limits(1, "blas"):
        with _timed("duplicates", seconds):
            section["duplicates"], copies, groups = duplicates.find(images)
        with _timed("outliers", seconds):
            section["outliers"], outlying, far = outliers.find(images, config.seed)
    with _timed("names", seconds):
        section["names"], misnamed = names.find(images, config.seed)
    with _timed("sizes", seconds):
        section["sizes"] = sizes.describe(images, config.seed)
    wrong: list[Suspect] = []
    doubtful = np.empty(0, np.int64)
    section["labels"] = {"skipped": wrong_labels.NOT_ASKED}
    if labels:
        with _timed("labels", seconds):
            section["labels"], wrong, doubtful = wrong_labels.find(images, config, state)
    suspects = [*copies, *wrong, *misnamed, *outlying]
    section["suspects"] = len({suspect.sample for suspect in suspects})
    found = Checks.from_json(section)
    with _timed("pictures", seconds):
        from training.report.pictures import checks

        pictures = checks.of_checks(images, found, groups, doubtful, far, images.class_names)
    logger.info("data checked in %.1f s: %d suspicious files", sum(seconds.values()), found.suspects)
    found = replace(found, seconds=seconds)
    return Checked(found, pictures, [(images.file(s.sample), images.option(s.sample), s) for s in suspects])


def of_training(data: Dataset, config: Config, out: Path) -> Checked:
    """Check the parts of a training."""
    main = data.folders["train"]
    parts = [
        CheckedPart(name, part, folder := data.folders[name], "data" if folder is main else f"{name}-data")
        for name, part in data.parts.items()
    ]
    return run(Collection(data.class_names, parts), config, config.check_labels, out / "checks")


@contextmanager
def _timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
