"""Does a training's resident memory stay flat as the data set grows?

    python -m benchmarks.memory [--images N N ...] [--json FILE]

Each size is a folder of synthetic images and one whole `python -m training` of one epoch of a small network;
what is printed is that process's peak resident memory, and its decoders' (the largest of them).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.memory")
    parser.add_argument("--images", type=int, nargs="+", default=[50_000, 200_000], metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    peaks: dict[int, float] = {}
    for count in options.images:
        with tempfile.TemporaryDirectory() as folder:
            peaks[count] = peak_megabytes(write_images(Path(folder, "data"), count), Path(folder))
        print(f"{count:9,} images  peak {peaks[count]:8,.0f} MB", flush=True)  # noqa: T201
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


def peak_megabytes(data: Path, folder: Path) -> float:
    """Train one epoch on `data`; returns the largest resident memory of the process and its decoders."""
    options = f"--epochs 1 --depth 1 --width 4 --dense 0 --batch-size 256 --no-publish --out {folder}/run"
    command = [sys.executable, "-m", "training", "--data", str(data), "--cache-dir", f"{folder}/cache"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command + options.split(), stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit((folder / "log").read_text())
    return usage.ru_maxrss / 1000


if __name__ == "__main__":
    main()
