"""Measure the time and memory to decode large photos, such as those of phones with 108 and 200 megapixels.

    python -m benchmarks.decoding [--images FORMAT:MEGAPIXELS ...] [--sizes N N ...] [--json FILE]

Each image is decoded in a process of its own, to the squares of `--sizes`. The output is the CPU time, and the memory
above that of the process with the encoded image.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import imaging  # noqa: F401  # It registers the optional formats.

_DECODE = """
import re, sys, time
from pathlib import Path
import imaging

def memory(name):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1e3

data, size = Path(sys.argv[1]).read_bytes(), int(sys.argv[2])
before = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # resets the peak
start = time.process_time()
imaging.decode(data, size)
print(time.process_time() - start, memory("VmHWM") - before)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.decoding")
    parser.add_argument(
        *("--images", "-i"),
        nargs="+",
        default=["JPEG:108", "JPEG:200"],
        metavar="FORMAT:MEGAPIXELS",
        help="formats, as Pillow calls them, and sizes (JPEG:108 JPEG:200)",
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[224, 3000], metavar="N", help="pixels per side (224 3000)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    print("| image | decoded to | CPU time | memory |\n|---|---|---|---|")  # noqa: T201
    found = {}
    for name in options.images:
        format_, _, megapixels = name.partition(":")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "photo")
            photo(float(megapixels)).save(file, format_)
            for size in options.sizes:
                seconds, megabytes = decoded(file, size)
                found[f"{name} {size}"] = {"seconds": seconds, "megabytes": megabytes}
                row = f"| {megapixels} MP {format_} | {size} x {size} | {seconds:.2f} s | {megabytes:.0f} MB |"
                print(row, flush=True)  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


def photo(megapixels: float) -> Image.Image:
    """Return an image of that many million pixels, 4 to 3, with as much detail as a photo."""
    unit = round((megapixels * 1e6 / 12) ** 0.5)
    detail = Image.effect_noise((unit // 2, 3 * unit // 8), 60).convert("RGB")
    return detail.resize((4 * unit, 3 * unit))


def decoded(file: Path, size: int) -> tuple[float, float]:
    """Decode in a process of its own. Return CPU seconds and megabytes."""
    command = [sys.executable, "-c", _DECODE, str(file), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, megabytes = done.stdout.split()
    return float(seconds), float(megabytes)


if __name__ == "__main__":
    main()
