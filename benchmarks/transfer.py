"""Measure the gain of a backbone trained on eight of CIFAR-10's classes for few images of the other two.

    python -m benchmarks.transfer [--data TAR] [--seeds N N ...] [--images N] [--classes A B] [--json FILE]

For each seed, the same network learns the two classes twice from the same images: with the weights of the eight classes
(first the head, then fine-tuning) and from scratch. Both are tested on all test images of the two classes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import statistics
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

_EPOCHS = 60
"""Most epochs of either training; with a backbone, those of fine-tuning."""

DATA = Path("../shared/data/cifar10-jpg.tar.xz")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.transfer")
    parser.add_argument("--data", type=Path, default=DATA, metavar="TAR", help=f"CIFAR-10 as JPEG files ({DATA})")
    parser.add_argument(
        "--classes", nargs=2, default=["cat", "dog"], metavar="NAME", help="the two classes to learn last (cat dog)"
    )
    parser.add_argument("--images", type=int, default=100, metavar="N", help="images of each of the two classes (100)")
    parser.add_argument(
        "--base-images", type=int, default=5000, metavar="N", help="images of each of the eight (5,000)"
    )
    parser.add_argument("--base-epochs", type=int, default=6, metavar="N", help="epochs for the eight classes (6)")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="seeds of the runs (0 1 2)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if not options.data.exists():
        parser.error(
            f"{options.data} doesn't exist; --data needs CIFAR-10 as a tar of train/CLASS/*.jpg and test/CLASS/*.jpg"
        )
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options, Path(folder))
    print(f"mean  {result['scratch']:8.1%}  {result['backbone']:8.1%}")  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


def measure(options: argparse.Namespace, root: Path) -> dict[str, Any]:
    """Return the accuracies of all runs, and their means."""
    os.environ["BENTOML_HOME"] = str(root / "home")
    extract(options.data, root, options.classes, options.images, options.base_images)
    logging.disable(logging.WARNING)
    base = run(root, "eight", recipe="accurate", width=32, rotation=0, zoom=0, epochs=options.base_epochs)
    print(f"eight classes: {base['accuracy']:.1%} in {base['seconds']:.0f} s", flush=True)  # noqa: T201
    print(f"{'seed':>4}  {'scratch':>8}  {'backbone':>8}  {'seconds':>16}")  # noqa: T201
    runs: list[dict[str, Any]] = []
    for seed in options.seeds:
        few = {"backbone": base["tag"], "seed": seed, "publish": False}
        scratch = run(root, "two", weights="none", epochs=_EPOCHS, **few)
        backbone = run(root, "two", epochs=_EPOCHS, **few)
        runs.append({"seed": seed, "scratch": scratch, "backbone": backbone})
        seconds = f"{scratch['seconds']:.0f} and {backbone['seconds']:.0f}"
        print(f"{seed:4}  {scratch['accuracy']:8.1%}  {backbone['accuracy']:8.1%}  {seconds:>16}", flush=True)  # noqa: T201
    means = {kind: statistics.mean(run[kind]["accuracy"] for run in runs) for kind in ("scratch", "backbone")}
    return {
        "classes": options.classes,
        "images_a_class": options.images,
        "base_accuracy": base["accuracy"],
        "base_seconds": base["seconds"],
        "runs": runs,
        **means,
    }


def extract(archive: Path, root: Path, classes: list[str], few: int, many: int) -> None:
    """Extract the images of two tasks below `root`.

    Args:
        archive: tar of JPEG files.
        root: folder to write to.
        classes: the two classes of the task `two`; the others make up the task `eight`.
        few: training images per class of `two`, which also gets all of its test images.
        many: training images per class of `eight`.
    """
    taken: dict[str, int] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if not member.isfile():
                continue
            part, name, file = Path(member.name).parts[-3:]
            most = few if name in classes else many
            taken[f"{part}/{name}"] = count = taken.get(f"{part}/{name}", 0) + 1
            if count > (most if part == "train" else 10_000 * (name in classes)):
                continue
            target = root / ("two" if name in classes else "eight") / part / name / file
            target.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member)
            assert content is not None
            target.write_bytes(content.read())


def run(root: Path, task: str, **options: Any) -> dict[str, Any]:
    """Train on the images of `task`; return the accuracy on its test images, the seconds, the epochs and the tag."""
    from training import train
    from training.options import merge

    data, out = root / task, root / "runs" / str(time.time_ns())
    test = str(data / "test") if (data / "test").exists() else None
    folders = {"data": str(data / "train"), "test_data": test, "cache_dir": str(root / "cache"), "out": str(out)}
    config = merge({**folders, "int8": False, **options}, None)
    with contextlib.redirect_stderr(io.StringIO()):
        result = train(config)
    section = result.report.train
    return {
        "accuracy": result.report.test.accuracy,
        "seconds": section.seconds,
        "epochs": section.epochs,
        "best_epoch": section.best_epoch,
        "tag": result.tag,
    }


if __name__ == "__main__":
    main()
