"""Measure whether the resident memory of training stays flat as the data set grows.

    python -m benchmarks.memory [--images N N ...] [--image-size N] [--remote] [--limit MB] [--json FILE]

For each size, `python -m training` trains a small network for one epoch on a folder of synthetic images. The output is
the peak resident memory of that process or of its largest decoder process, and the size of the decoded images. With
--remote the images are in a bucket of an S3 server on this machine. With --limit the kernel limits training to this
much memory, including the cache of the files that it reads and writes, and kills it if that isn't enough. --limit
needs root, for a control group.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.s3 import s3_server


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.memory")
    parser.add_argument(
        "--images", type=int, nargs="+", default=[50_000, 200_000], metavar="N", help="numbers of images (50000 200000)"
    )
    parser.add_argument("--image-size", type=int, default=32, metavar="N", help="pixels per side after decoding (32)")
    parser.add_argument("--remote", action="store_true", help="read the images from a bucket")
    parser.add_argument("--limit", type=int, metavar="MB", help="most memory for training (no limit)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    peaks: dict[int, float] = {}
    for count in options.images:
        with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
            folder, data = Path(name), str(write_images(Path(name, "data"), count))
            if options.remote:
                server = stack.enter_context(s3_server())
                server.put_tree("images", folder / "data")
                os.environ.update(server.variables)
                data = "s3://images"
            within = stack.enter_context(limited_to(options.limit)) if options.limit else []
            peaks[count] = peak_megabytes(data, folder, options.image_size, within)
        decoded = count * 3 * options.image_size**2 / 1e6
        print(f"{count:9,} images  {decoded:9,.0f} MB decoded  peak {peaks[count]:8,.0f} MB", flush=True)  # noqa: T201
    first, last = peaks[options.images[0]], peaks[options.images[-1]]
    print(f"last / first = {last / first:.2f}")  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(peaks, indent=2))


def write_images(root: Path, count: int) -> Path:
    """Write `count` different 32x32 BMP files in four classes."""
    rng = np.random.default_rng(0)
    for name in "abcd":
        (root / name).mkdir(parents=True)
    for i in range(count):
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "abcd"[i % 4] / f"{i}.bmp")
    return root


@contextlib.contextmanager
def limited_to(megabytes: int) -> Iterator[list[str]]:
    """Create a control group with this much memory, and yield the command that runs another command in it."""
    mounted = Path("/sys/fs/cgroup")
    first = (mounted / "memory").is_dir()  # control groups of version 1
    group = mounted / ("memory" if first else "") / f"benchmark-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        try:
            group.mkdir()
            stack.callback(_remove, group)
            (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(megabytes * 1_000_000))
        except OSError as error:
            sys.exit(f"error: --limit: {error}; it needs root and a memory controller")
        yield ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group / "cgroup.procs")]


def _remove(group: Path) -> None:
    # Processes that training started may end a moment after it.
    deadline = time.monotonic() + 10
    while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    group.rmdir()


def peak_megabytes(data: str, folder: Path, size: int, within: list[str]) -> float:
    """Train one epoch on `data`; return the peak resident memory of the process or its largest decoder, in MB.

    Args:
        data: folder or URL.
        folder: folder for the run's files.
        size: width and height of the decoded images, in pixels.
        within: command that runs the training in a control group; empty for none.
    """
    batch = max(8, 256 * 32**2 // size**2)  # so that a step takes the same memory
    options = f"--epochs 1 --depth 1 --width 4 --dense 0 --batch-size {batch} --no-publish --out {folder}/run"
    options += f" --image-size {size}"
    command = [sys.executable, "-m", "training", "--data", data, "--cache-dir", f"{folder}/cache"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*within, *command, *options.split()], stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{(folder / 'log').read_text()}\nerror: training ended with {process.returncode}")
    return usage.ru_maxrss / 1000


if __name__ == "__main__":
    main()
