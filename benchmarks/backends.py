"""The same network on the same images under each of Keras' backends, by our training loop.

    python -m benchmarks.backends [--images N] [--epochs N] [--batch-size N] [--json FILE]

PyTorch takes part where `scripts/torch` has made its environment (make backends).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.training import write_jpegs

BACKENDS = ("tensorflow", "jax", "torch")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.backends")
    parser.add_argument("--images", type=int, default=4_000, metavar="N", help="synthetic images (4,000)")
    parser.add_argument("--epochs", type=int, default=2, metavar="N", help="measured epochs (2)")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="(64)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, cache = write_jpegs(Path(folder, "data"), given.images), Path(folder, "cache")
        options = ["--data", str(data), "--cache-dir", str(cache), "--epochs", str(given.epochs)]
        options += ["--batch-size", str(given.batch_size)]
        results = [
            measure(name, [*options, "--checkpoint", f"{folder}/{name}"])
            for name in BACKENDS
            if name != "torch" or made()
        ]
    print("\n".join(table(results)))  # noqa: T201
    if len(results) < len(BACKENDS):
        print("\ntorch: not measured, its environment isn't made (make backends)")  # noqa: T201
    if given.json:
        given.json.write_text(json.dumps(results, indent=2))


def made() -> bool:
    """Whether PyTorch's environment is there."""
    return subprocess.run(["scripts/torch", "which"], capture_output=True, check=False).returncode == 0


def measure(name: str, options: list[str]) -> dict[str, Any]:
    """Train under one backend in a process of its own."""
    python = ["scripts/torch"] if name == "torch" else [sys.executable]
    done = subprocess.run(
        [*python, "-m", "benchmarks.epochs", *options],
        env=os.environ | {"KERAS_BACKEND": name},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(results: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the table, in Markdown; the first backend is what the others are compared with."""
    lines = ["| backend | images/s | step | of TensorFlow's speed |", "|---|---|---|---|"]
    rates = [run["images"] / min(run["seconds"]) for run in results]
    for run, rate in zip(results, rates, strict=True):
        step = 1000 * min(run["seconds"]) / run["steps"]
        lines.append(f"| {run['backend']} | {rate:,.0f} | {step:.1f} ms | {rate / rates[0]:.2f} |")
    return lines


if __name__ == "__main__":
    main()
