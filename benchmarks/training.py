"""Compare the speed of the training loop with bare `model.fit`, and measure the speed of decoding a folder.

    python -m benchmarks.training [--data DIR] [--images N] [--epochs N] [--json FILE]

Both loops train the same network on the same images, in turns, in one process. Bare `model.fit` uses arrays in memory
without augmentation; ours uses memory-mapped images, augmentation, checkpoints and progress. Without --data, the
images are random and written as JPEG.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training import environment
from training.config import Config
from training.data import dataset
from training.loop.checkpoint import Checkpoint, Progress
from training.loop.compile import compile_model
from training.network import network


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.training")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with one folder per class (synthetic images)")
    parser.add_argument("--images", type=int, default=16_000, metavar="N", help="number of synthetic images (16,000)")
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="measured epochs per loop (3)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or write_jpegs(Path(folder, "data"), options.images)
        result = measure(
            Config(data=str(data), backbone="none", cache_dir=str(Path(folder, "cache"))), options.epochs, Path(folder)
        )
    width = max(map(len, result))
    for name, value in result.items():
        print(f"{name:{width}}  {value:,.3f}" if isinstance(value, float) else f"{name:{width}}  {value:,}")  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


def write_jpegs(root: Path, count: int) -> Path:
    """Write `count` noisy 32x32 JPEG files in ten classes."""
    rng = np.random.default_rng(0)
    for i in range(count):
        folder = root / str(i % 10)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{i}.jpg", quality=90)
    return root


def measure(config: Config, epochs: int, folder: Path) -> dict[str, Any]:
    """Return the images/s of both loops, their ratio, and the images/s of decoding."""
    data = dataset.load(config)
    config = config.for_images(len(data.parts["train"]))
    environment.start_keras(config.seed)
    from training.input.batches import Batches
    from training.input.parts import training_batches
    from training.loop.fit import fit

    part, validation = data.parts["train"], data.parts["validation"]
    classes = len(data.class_names)
    bare, ours = (network.build(config, classes) for _ in range(2))
    images, one_hot = part[:], np.eye(classes, dtype=np.float32)[part.labels]
    batches = training_batches(part, data, config)
    plain = Batches(validation.images, validation.rows, validation.labels, classes, 128)
    compile_model(bare, config, batches.num_batches)
    compile_model(ours, config, batches.num_batches)
    checkpoint, progress = Checkpoint(folder), Progress()
    bare_seconds: list[float] = []
    our_seconds: list[float] = []
    # The loops take turns, so that other load on the machine slows both. The first turn traces the graphs and isn't
    # counted.
    for epoch in range(epochs + 1):
        started = time.perf_counter()
        bare.fit(images, one_hot, batch_size=config.batch_size, epochs=1, verbose=0)
        bare_seconds.append(time.perf_counter() - started)
        before = progress.seconds
        progress = fit(ours, batches, plain, _until(config, epoch + 1), checkpoint, progress)
        our_seconds.append(progress.seconds - before)
    bare_rate = len(part) / min(bare_seconds[1:])
    our_rate = len(part) / min(our_seconds[1:])
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "images": len(part),
        "decoded_images_per_second": data.summary["images"] / data.summary["decode_seconds"],
        "decode_seconds": data.summary["decode_seconds"],
        "bare_fit_images_per_second": bare_rate,
        "our_images_per_second": our_rate,
        "ratio": our_rate / bare_rate,
    }


def _until(config: Config, epoch: int) -> Config:
    from dataclasses import replace

    return replace(config, epochs=epoch, patience=10_000)


if __name__ == "__main__":
    main()
