"""Train a few epochs with our loop, as one process of a comparison, and print the seconds of each epoch as JSON.

As for `python -m training`, environment variables choose the backend and the other workers.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.training import write_jpegs
from training import backend, environment, memory
from training.config import Config
from training.data import dataset
from training.distributed import workers
from training.loop.checkpoint import Checkpoint, Progress
from training.loop.compile import compile_model
from training.network import network


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.epochs")
    parser.add_argument("--data", required=True)
    parser.add_argument("--cache-dir", required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder that all workers share")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--malloc-default", action="store_true", help="don't keep a step's memory for the next one")
    given = parser.parse_args()
    config = Config(
        data=given.data, backbone="none", cache_dir=given.cache_dir, batch_size=given.batch_size, width=given.width
    )
    data = dataset.load(config)
    config = config.for_images(len(data.parts["train"]))
    group = workers.here()
    if given.malloc_default:
        memory.keep_freed_blocks = lambda: None
    environment.start_keras(config.seed)
    workers.join(group)
    from training.input.batches import Batches
    from training.input.parts import training_batches
    from training.loop.fit import fit

    classes, validation = len(data.class_names), data.parts["validation"]
    share, devices = (group.index, group.count), workers.shares()
    batches = training_batches(data.parts["train"], data, config, share=share, devices=devices)
    plain = Batches(validation.images, validation.rows, validation.labels, classes, 128)
    model = network.build(config, classes)
    compile_model(model, config, batches.num_batches)
    seconds: list[float] = []
    usages = []
    checkpoint, progress = Checkpoint(given.checkpoint, writes=group.leads), Progress()
    # The first epoch includes compilation, so it isn't counted.
    for epoch in range(given.epochs + 1):
        before = progress.seconds
        usages.append(resource.getrusage(resource.RUSAGE_SELF))
        until = replace(config, epochs=epoch + 1, patience=10_000)
        progress = fit(model, batches, plain, until, checkpoint, progress, group)
        seconds.append(progress.seconds - before)
    usage, used = usages[1], resource.getrusage(resource.RUSAGE_SELF)
    result = backend.describe() | {
        "workers": group.count,
        "parameters": int(model.count_params()),
        "variables": len(model.trainable_variables),
        "images": batches.images_an_epoch,
        "steps": batches.num_batches,
        "seconds": seconds[1:],
        "loss": progress.history["loss"],
        "page_faults": (used.ru_minflt - usage.ru_minflt) / given.epochs,
        "user_seconds": (used.ru_utime - usage.ru_utime) / given.epochs,
        "system_seconds": (used.ru_stime - usage.ru_stime) / given.epochs,
        "peak_bytes": used.ru_maxrss * 1024,
    }
    workers.part_from(group)
    json.dump(result, sys.stdout)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a comparison: how much each of its processes trains."""
    parser.add_argument("--images", type=int, default=4_000, metavar="N", help="synthetic images (4,000)")
    parser.add_argument("--epochs", type=int, default=2, metavar="N", help="measured epochs (2)")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="images per batch, of all workers (64)")
    parser.add_argument("--json", type=Path, metavar="FILE")


@contextmanager
def prepared(given: argparse.Namespace) -> Iterator[Callable[[str], list[str]]]:
    """Write the images, and yield a function that returns this module's options for the run of a given name."""
    with tempfile.TemporaryDirectory() as folder:
        data, cache = write_jpegs(Path(folder, "data"), given.images), Path(folder, "cache")
        options = ["--data", str(data), "--cache-dir", str(cache), "--epochs", str(given.epochs)]
        options += ["--batch-size", str(given.batch_size)]
        yield lambda name: [*options, "--checkpoint", f"{folder}/{name}"]


def run(name: str, options: list[str], python: Sequence[str] = (sys.executable,), **environ: str) -> dict[str, Any]:
    """Run this module in its own process and return what it prints; an error message begins with `name`."""
    command = [*python, "-m", "benchmarks.epochs", *options]
    done = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
