"""Measure the rate of decoding and inference in a loop, on one thread, without any server: the ceiling of all servers.

    python -m benchmarks.servers.ceiling MODEL SIZE IMAGE SECONDS [plain]

With `plain` the image is decoded at full size and then resized, as simple code does. Prints JSON.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import imaging
from bento.models import runtime


def main() -> None:
    """Measure and print."""
    model, size, image, seconds, *plain = sys.argv[1:]
    data, side = Path(image).read_bytes(), int(size)
    run = runtime.load("onnx", Path(model), threads=1)

    def decode() -> np.ndarray:
        return imaging.decode(data, side)

    def decode_plainly() -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((side, side)))

    chosen: Callable[[], np.ndarray] = decode_plainly if plain else decode
    run(chosen()[np.newaxis])
    calls = 0
    started = time.perf_counter()
    while time.perf_counter() - started < float(seconds):
        run(chosen()[np.newaxis])
        calls += 1
    sys.stdout.write(json.dumps({"rate": calls / (time.perf_counter() - started)}) + "\n")


if __name__ == "__main__":
    main()
