"""Make the README's pictures: the page with an answer, the report of a training, the dashboard under load.

    python -m benchmarks.pictures [--out DIR] [--seconds N]

A model is trained on scikit-learn's digits, in a store of its own, and served. The page and the report are seen by
Chromium. The dashboard is drawn from the answers of a Prometheus, which scrapes the service under load, to the
queries of the chart's dashboard: Grafana itself is not run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.pictures import board, browser, drawing, load
from model_format import golden
from tests.integration.conftest import Store, serving

LARGEST = 300_000
"""Bytes of all pictures together."""
_ROWS = 20
"""Rows of the dashboard that are shown: the single values, and the four panels to look at first."""
_COLOURS = 128
_WARM_UP = 30
"""Seconds of the load that the dashboard leaves out, in which the first rates build up."""


def main() -> None:
    """Train, serve, take the pictures and write them; exits with 1 if they are too large."""
    parser = argparse.ArgumentParser("python -m benchmarks.pictures", description="Make the README's pictures.")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"), metavar="DIR", help="(docs/pictures)")
    parser.add_argument("--seconds", type=float, default=300, metavar="N", help="duration of the load (300)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store(folder / "home")
        images, report = _train(store, folder)
        pictures = {"page": _page(store, folder), "report": _report(report)}
        pictures["dashboard"] = _dashboard(store, folder, images, options.seconds)
    total = sum(_write(picture, options.out / f"{name}.png") for name, picture in pictures.items())
    print(f"{total:,} bytes together, of at most {LARGEST:,}")  # noqa: T201
    sys.exit(total > LARGEST)


def _train(store: Store, folder: Path) -> tuple[Path, Path]:
    """Train on the digits; return the folder of their images and the run's report."""
    command = [sys.executable, "-m", "training", "--data", "digits", "--out", str(folder / "run")]
    subprocess.run(command, env=store.environment | {"XDG_CACHE_HOME": str(folder / "cache")}, check=True)
    return folder / "cache" / "image-classifier" / "digits", folder / "run" / "report.html"


def _page(store: Store, folder: Path) -> Image.Image:
    """Show the page with its answer to a golden image of a seven."""
    entry = next((store.home / "models").glob("image_classifier/*/model.yaml")).parent
    seven = golden.folder_of(entry) / "07.png"
    image = folder / "7.png"
    image.write_bytes(seven.read_bytes())
    with serving(store, ".") as server, browser.browsing() as driver:
        for _ in range(100):
            server.predict(image.read_bytes())  # The first requests are slower than those that follow.
        browser.open_page(driver, server.url, 580)
        for _ in range(10):
            browser.choose(driver, image)
        return browser.shoot(driver, "#results")


def _report(report: Path) -> Image.Image:
    """Show a report from its title to its first picture."""
    with browser.browsing() as driver:
        browser.open_page(driver, report.as_uri(), 700)
        return browser.shoot(driver, "section:has(.picture)")


def _dashboard(store: Store, folder: Path, images: Path, seconds: float) -> Image.Image:
    """Draw the top of the dashboard as it is at the end of a load."""
    with load.watched(store, folder, images, seconds) as prometheus:
        now = time.time()
        panels = board.read(prometheus, now - seconds + _WARM_UP, now, _ROWS)
    return drawing.draw(panels, board.title(), seconds - _WARM_UP)


def _write(picture: Image.Image, path: Path) -> int:
    """Write a picture with a palette; return its size in bytes."""
    palette = picture.quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    palette.save(path, optimize=True)
    size = os.path.getsize(path)
    print(f"{path}: {picture.width} x {picture.height}, {size:,} bytes")  # noqa: T201
    return size


if __name__ == "__main__":
    main()
