"""Measure the recall and precision of the label check on labels that were changed on purpose.

    python -m benchmarks.label_noise --data DIR [--noise X] [--images N] [--state DIR] [--fold N] [--json FILE]

With probability --noise an image gets another label at random. --state keeps finished folds, so that a run can be
split: --fold N trains only that fold, and measures on its third of the images.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from training.checks import classifier, wrong_labels
from training.checks.collection import CheckedPart, Collection
from training.checks.labels import confident_learning
from training.config import Config
from training.data.dataset import load_whole


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.label_noise")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder with one folder per class")
    parser.add_argument("--noise", type=float, default=0.05, metavar="X", help="share of changed labels (0.05)")
    parser.add_argument("--images", type=int, metavar="N", help="number of images, drawn at random (all)")
    parser.add_argument("--preset", default="auto", help="augmentation, as in training (auto)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep finished folds here")
    parser.add_argument("--fold", type=int, metavar="N", choices=range(classifier.FOLDS), help="train this fold only")
    parser.add_argument("--decoders", type=int, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    config = Config(
        data=options.data, backbone="none", preset=options.preset, seed=options.seed, decoders=options.decoders
    )
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        images, changed = noisy(config, options.images, options.noise)
        samples = np.arange(len(images))
        folds = wrong_labels.folds(images, samples, config.seed)
        only = None if options.fold is None else [options.fold]
        state = options.state or Path(folder)
        probabilities = classifier.held_out(images, samples, folds, config, state, only)
    seen = samples if only is None else np.flatnonzero(folds == options.fold)
    result = measure(probabilities[seen], images.labels[seen], changed[seen])
    result["seconds"] = time.perf_counter() - started
    for name, value in result.items():
        print(f"{name:26}  {value:,.3f}" if isinstance(value, float) else f"{name:26}  {value:,}")  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


def noisy(config: Config, count: int | None, noise: float) -> tuple[Collection, np.ndarray]:
    """Return the images with some labels changed, and a mask of the changed ones, (N,) bool."""
    part, folder = load_whole(config)["data"]
    rng = np.random.default_rng([config.seed, 1])
    part = part.select(np.sort(rng.permutation(len(part))[:count]))
    classes = len(folder.class_names)
    changed = rng.random(len(part)) < noise
    labels = np.where(changed, (part.labels + rng.integers(1, classes, len(part))) % classes, part.labels)
    return Collection(folder.class_names, [CheckedPart("data", replace(part, labels=labels), folder, "data")]), changed


def measure(probabilities: np.ndarray, labels: np.ndarray, changed: np.ndarray) -> dict[str, Any]:
    """Compare the labels that the check reports with the labels that were changed."""
    found = confident_learning(probabilities, labels)
    named = changed[found.samples]
    return {
        "images": len(labels),
        "accuracy on given labels": float((probabilities.argmax(axis=1) == labels).mean()),
        "changed": int(changed.sum()),
        "estimated": found.noise * len(labels),
        "reported": len(named),
        "recall": float(named.sum() / max(1, changed.sum())),
        "precision": float(named.mean()) if len(named) else 0.0,
    }


if __name__ == "__main__":
    main()
