"""Draw thumbnails of what the data checks found."""

from __future__ import annotations

import numpy as np

from training.report.check_document import Checks, Labels
from training.report.pictures.evaluation import Images
from training.report.pictures.images import captioned
from training.report.pictures.style import captions

_SHOWN = 24
_SHOWN_GROUPS = 12


def of_checks(
    images: Images,
    section: Checks,
    groups: list[np.ndarray],
    doubtful: np.ndarray,
    far: np.ndarray,
    class_names: list[str],
) -> dict[str, bytes]:
    """Draw duplicates, doubtful labels and outliers, if there are any. Return PNG by the names that the page uses.

    Args:
        images: the checked images.
        section: the section of the report, whose lists are in the order of the arrays.
        groups: samples of each group of duplicates.
        doubtful: samples whose label seems wrong.
        far: samples unlike their class.
        class_names: in label order.
    """
    drawn = {}
    short, shorter = (dict(zip(class_names, captions(class_names, most), strict=True)) for most in (15, 9))
    if groups:
        listed = section.duplicates.listed[:_SHOWN_GROUPS]
        pairs = np.concatenate([group[[0, -1]] for group in groups[: len(listed)]])
        ends = [(i, end) for i, group in enumerate(listed, 1) for end in (group.files[0], group.files[-1])]
        below = [short[end.class_] for _, end in ends]
        drawn["duplicates"] = captioned(images[pairs], [f"{i}: {end.part}" for i, end in ends], below)
    if len(doubtful) and isinstance(section.labels, Labels):
        doubts = section.labels.listed[:_SHOWN]
        above = [f"{i}: {shorter[one.suggested]} {100 * one.confidence:.0f}%" for i, one in enumerate(doubts, 1)]
        below = [f"labelled {shorter[one.class_]}" for one in doubts]
        drawn["doubtful_labels"] = captioned(images[doubtful[:_SHOWN]], above, below)
    if len(far):
        outlying = section.outliers.listed[:_SHOWN]
        above = [f"{i}" for i in range(1, len(outlying) + 1)]
        below = [short[one.class_] for one in outlying]
        drawn["outliers"] = captioned(images[far[:_SHOWN]], above, below)
    return drawn
