"""One process of a comparison: trains a few epochs with our loop and prints the seconds of each as JSON.

What computes, and whether others share the work, is told by the environment, as for `python -m training`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.training import write_jpegs
from training import backend, dataset, environment, network, workers
from training.checkpoint import Checkpoint, Progress
from training.config import Config


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.epochs")
    parser.add_argument("--data", required=True)
    parser.add_argument("--cache-dir", required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder that all workers see")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=32)
    given = parser.parse_args()
    config = Config(data=given.data, cache_dir=given.cache_dir, batch_size=given.batch_size, width=given.width)
    data = dataset.load(config)
    config = config.for_images(len(data.parts["train"]))
    group = workers.here()
    environment.start_keras(config.seed)
    workers.join(group)
    from training.batches import Batches
    from training.fit import fit
    from training.train import training_batches

    classes, validation = len(data.class_names), data.parts["validation"]
    batches = training_batches(data.parts["train"], data, config, group)
    plain = Batches(validation.images, validation.rows, validation.labels, classes, 128)
    model = network.build(config, classes)
    network.compile_model(model, config, batches.num_batches)
    seconds: list[float] = []
    checkpoint, progress = Checkpoint(given.checkpoint, writes=group.leads), Progress()
    # The first epoch compiles, and isn't counted.
    for epoch in range(given.epochs + 1):
        before = progress.seconds
        until = replace(config, epochs=epoch + 1, patience=10_000)
        progress = fit(model, batches, plain, until, checkpoint, progress, group)
        seconds.append(progress.seconds - before)
    result = backend.describe() | {
        "workers": group.count,
        "parameters": int(model.count_params()),
        "variables": len(model.trainable_variables),
        "images": batches.images_an_epoch,
        "steps": batches.num_batches,
        "seconds": seconds[1:],
        "loss": progress.history["loss"],
    }
    workers.part_from(group)
    json.dump(result, sys.stdout)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a comparison: how much each of its processes trains."""
    parser.add_argument("--images", type=int, default=4_000, metavar="N", help="synthetic images (4,000)")
    parser.add_argument("--epochs", type=int, default=2, metavar="N", help="measured epochs (2)")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="of all workers together (64)")
    parser.add_argument("--json", type=Path, metavar="FILE")


@contextmanager
def prepared(given: argparse.Namespace) -> Iterator[Callable[[str], list[str]]]:
    """Write the images; yields what returns, for a run's name, this module's options."""
    with tempfile.TemporaryDirectory() as folder:
        data, cache = write_jpegs(Path(folder, "data"), given.images), Path(folder, "cache")
        options = ["--data", str(data), "--cache-dir", str(cache), "--epochs", str(given.epochs)]
        options += ["--batch-size", str(given.batch_size)]
        yield lambda name: [*options, "--checkpoint", f"{folder}/{name}"]


if __name__ == "__main__":
    main()
