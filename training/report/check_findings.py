"""Point out, in plain sentences, what deserves a look in checked data. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterator

from training.report.check_document import Checks, Labels
from training.report.display import percent


def of_checks(checks: Checks) -> Iterator[str]:
    """Yield what deserves a look, the most important first; often nothing."""
    copies, labels, outliers = checks.duplicates, checks.labels, checks.outliers
    if copies.across_parts:
        yield (
            f"{_count(copies.across_parts, 'image has', 'images have')} copies in another part of the data, "
            "so the model may be tested on images that it was trained on."
        )
    if copies.several_labels:
        yield f"{_count(copies.several_labels, 'image has', 'images have')} copies under another label."
    files = copies.exact + copies.near
    if files:
        yield f"{_count(files, 'file is a copy', 'files are copies')} of another file."
    if isinstance(labels, Labels) and labels.suspects:
        yield (
            f"{_count(labels.suspects, 'label seems', 'labels seem')} wrong "
            f"({percent(labels.suspects / labels.images)} of the images)."
        )
    if checks.names.other_class:
        yield f"{_count(checks.names.other_class, 'file is', 'files are')} named after another class."
    for telling in checks.sizes.telling:
        yield (
            f"The {telling.by} alone predicts the class of {percent(telling.right)} of the images (guessing: "
            f"{percent(telling.guessing)}). The network may learn that instead of the content."
        )
    for telling in checks.names.telling:
        yield (
            f"The {telling.by} of the file name predicts the class of {percent(telling.right)} of the images: the "
            "classes seem to come from different sources, whose traits the network may learn."
        )
    if outliers.one_colour:
        yield f"{_count(outliers.one_colour, 'image shows', 'images show')} a single colour."
    if outliers.far:
        yield f"{_count(outliers.far, 'image lies', 'images lie')} far from the other images of the same class."


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
