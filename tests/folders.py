"""Write folders of small images, one folder per class, that a tiny network can tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}
FORMATS = ("png", "jpg", "webp", "gif", "bmp", "tiff")


def write_tree(root: Path, counts: dict[str, int], *, size: tuple[int, int] = (20, 16), seed: int = 0) -> Path:
    """Write `counts` noisy images of each colour in `COLOURS`, in all six formats in turn."""
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            noise = rng.integers(-55, 56, (*size, 3))
            pixels = np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i:03}.{FORMATS[i % len(FORMATS)]}")
    return root
