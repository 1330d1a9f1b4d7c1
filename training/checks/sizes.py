"""Measure files and images before decoding, class by class. Reads the headers of a sample, no pixels."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.checks import majority
from training.checks.collection import Collection

_SAMPLE = 2_000
_QUANTILES = {"least": 0.0, "median": 0.5, "most": 1.0}

_Header = tuple[int, int, str, str]
"""Width, height, mode and format."""


def describe(images: Collection, seed: int) -> dict[str, Any]:
    """Measure all files and the headers of up to 2,000, and check whether a property reveals the class.

    Returns:
        The report's section. `telling` lists properties that predict the class far better than guessing: a network may
        learn them instead of the content of the images.
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(len(images))[:_SAMPLE])
    headers = [_header(images.path(i)) for i in chosen.tolist()]
    known = [i for i, header in enumerate(headers) if header is not None]
    seen = [header for header in headers if header is not None]
    labels = images.labels[chosen[known]]
    kilobytes = np.maximum(images.file_sizes, 1)
    by: dict[str, list[Hashable]] = {
        "format": [format_ for *_, format_ in seen],
        "mode": [mode for _, _, mode, _ in seen],
        "width and height": [(width, height) for width, height, _, _ in seen],
        "aspect ratio": [round(width / height, 1) for width, height, _, _ in seen],
        "file size": np.rint(4 * np.log2(kilobytes[chosen[known]])).astype(int).tolist(),
    }
    measured = {name: majority.accuracy(values, labels, seed) for name, values in by.items()} if seen else {}
    return {
        "sampled": len(seen),
        "width": _spread([width for width, *_ in seen]),
        "height": _spread([height for _, height, *_ in seen]),
        "bytes": _spread(images.file_sizes.tolist()),
        "formats": dict(Counter(format_ for *_, format_ in seen).most_common()),
        "modes": dict(Counter(mode for _, _, mode, _ in seen).most_common()),
        "enlarged": sum(min(width, height) < images.size for width, height, *_ in seen) / max(1, len(seen)),
        "classes": {name: _of_class(images, chosen[known], seen, i) for i, name in enumerate(images.class_names)},
        "telling": [
            {"by": name, "right": right, "guessing": guessing}
            for name, (right, guessing) in measured.items()
            if majority.predicts((right, guessing))
        ],
    }


def _header(path: Path | None) -> _Header | None:
    if path is None:
        return None  # a header isn't worth a download
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    try:
        # The file has been decoded, so its header is valid; but it may have been removed since.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            return image.width, image.height, image.mode, image.format or "?"
    except (OSError, ValueError, SyntaxError):
        return None


def _spread(values: list[int]) -> dict[str, float] | None:
    if not values:
        return None
    return {name: float(np.quantile(values, q)) for name, q in _QUANTILES.items()}


def _of_class(images: Collection, sampled: np.ndarray, headers: list[_Header], label: int) -> dict[str, Any]:
    members = images.labels == label
    seen = [header for i, header in zip(sampled.tolist(), headers, strict=True) if members[i]]
    return {
        "images": int(members.sum()),
        "width": float(np.median([width for width, *_ in seen])) if seen else None,
        "height": float(np.median([height for _, height, *_ in seen])) if seen else None,
        "bytes": float(np.median(images.file_sizes[members])) if members.any() else None,
    }
