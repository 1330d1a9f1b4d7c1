"""Measure the speed gained by keeping the memory of a training step for the next one.

    python -m benchmarks.allocation [--images N] [--epochs N] [--batch-size N] [--width N] [--rounds N] [--json FILE]

The training loop trains the same network on the same images, alternately with malloc's default and with training's
setting.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from benchmarks import epochs

WAYS = {"returned": ["--malloc-default"], "kept": []}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.allocation")
    epochs.add_options(parser)
    parser.add_argument("--width", type=int, default=32, metavar="N", help="filters in the first stage (32)")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="runs per setting; the fastest counts (2)")
    given = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with epochs.prepared(given) as options:
        for turn in range(given.rounds):
            for way, more in WAYS.items():
                command = [*options(f"{way} {turn}"), "--width", str(given.width), *more]
                runs[way].append(epochs.run(way, command))
    best = {way: min(found, key=lambda run: min(run["seconds"])) for way, found in runs.items()}
    print("\n".join(table(best)))  # noqa: T201
    if given.json:
        given.json.write_text(json.dumps(runs, indent=2))


def table(runs: dict[str, dict[str, Any]]) -> list[str]:
    """Return the lines of the table, in Markdown; speeds are relative to the first row."""
    lines = [
        "| freed memory | images/s | speed | page faults per image | kernel's share | peak |",
        "|---|---|---|---|---|---|",
    ]
    rates = {way: run["images"] / min(run["seconds"]) for way, run in runs.items()}
    for way, run in runs.items():
        share = run["system_seconds"] / (run["system_seconds"] + run["user_seconds"])
        speed = rates[way] / next(iter(rates.values()))
        lines.append(
            f"| {way} | {rates[way]:,.0f} | {speed:.2f} | {run['page_faults'] / run['images']:,.0f} | {share:.0%} | "
            f"{run['peak_bytes'] / 1e9:.1f} GB |"
        )
    return lines


if __name__ == "__main__":
    main()
