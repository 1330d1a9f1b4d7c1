"""The classes of a model in the metrics: each has a series of its own, up to a number of them."""

from __future__ import annotations

from collections.abc import Sequence

OTHER = "other"


def labels(class_names: Sequence[str], shares: Sequence[float] | None, most: int) -> list[str]:
    """Return the label of each class in the metrics, in label order: its name, or `other`.

    Args:
        class_names: in label order.
        shares: share of each class in the training's held-out images, in label order; None if unknown.
        most: number of classes with a label of their own: the most frequent, without shares the first.
    """
    known = shares if shares and len(shares) == len(class_names) else [0.0] * len(class_names)
    own = set(sorted(range(len(class_names)), key=lambda label: -known[label])[:most])
    return [name if label in own else OTHER for label, name in enumerate(class_names)]
