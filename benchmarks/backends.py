"""Train the same network on the same images under each of Keras' backends, with our training loop.

    python -m benchmarks.backends [--images N] [--epochs N] [--batch-size N] [--json FILE]

PyTorch is measured if `scripts/torch` has made its environment (make backends).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from benchmarks import epochs

BACKENDS = ("tensorflow", "jax", "torch")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.backends")
    epochs.add_options(parser)
    given = parser.parse_args()
    with epochs.prepared(given) as options:
        results = [measure(name, options(name)) for name in BACKENDS if name != "torch" or made()]
    print("\n".join(table(results)))  # noqa: T201
    if len(results) < len(BACKENDS):
        print("\ntorch: not measured, because its environment is missing; make backends creates it")  # noqa: T201
    if given.json:
        given.json.write_text(json.dumps(results, indent=2))


def made() -> bool:
    """Return whether PyTorch's environment exists."""
    return subprocess.run(["scripts/torch", "which"], capture_output=True, check=False).returncode == 0


def measure(name: str, options: list[str]) -> dict[str, Any]:
    """Train under one backend, in its own process."""
    python = ["scripts/torch"] if name == "torch" else [sys.executable]
    return epochs.run(name, options, python, KERAS_BACKEND=name)


def table(results: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the table, in Markdown; speeds are relative to the first backend's."""
    lines = ["| backend | images/s | step | speed relative to TensorFlow |", "|---|---|---|---|"]
    rates = [run["images"] / min(run["seconds"]) for run in results]
    for run, rate in zip(results, rates, strict=True):
        step = 1000 * min(run["seconds"]) / run["steps"]
        lines.append(f"| {run['backend']} | {rate:,.0f} | {step:.1f} ms | {rate / rates[0]:.2f} |")
    return lines


if __name__ == "__main__":
    main()
