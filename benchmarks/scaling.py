"""Measure training with one and two workers on this machine, and calculate the speed of more workers from that.

    python -m benchmarks.scaling [--images N] [--epochs N] [--batch-size N] [--json FILE]

Each worker has one core, as each pod of a Job has its own; the global batch stays the same. The two workers sum their
gradients over the loopback interface. To calculate for your network, replace the bandwidth and latency measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks import epochs
from tests.integration.conftest import free_port

CALCULATED = (1, 2, 4, 8, 16, 32)


def main() -> None:
    """Measure, calculate and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.scaling")
    epochs.add_options(parser)
    given = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("error: two cores are needed, one per worker")
    with epochs.prepared(given) as options:
        one, two = (together(count, "benchmarks.epochs", options(str(count))) for count in (1, 2))
        sums = together(2, "benchmarks.allreduce", [])
    result = {"batch_size": given.batch_size, "one": one, "two": two, "allreduce_seconds": sums}
    result["model"] = model(one, two, {int(size): took for size, took in sums.items()})
    print("\n".join(table(result)))  # noqa: T201
    if given.json:
        given.json.write_text(json.dumps(result, indent=2))


def together(count: int, module: str, options: list[str]) -> dict[str, Any]:
    """Run `module` in `count` processes, each on its own core; return what worker 0 printed."""
    cores = sorted(os.sched_getaffinity(0))
    address = f"127.0.0.1:{free_port()}"
    processes = []
    for index in range(count):
        variables = {
            "KERAS_BACKEND": "jax",
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
        }
        command = ["taskset", "-c", str(cores[index]), sys.executable, "-m", module, *options]
        processes.append(
            subprocess.Popen(
                command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    said = [process.communicate() for process in processes]
    for process, (_, error) in zip(processes, said, strict=True):
        if process.returncode:
            raise SystemExit(f"{module} failed:\n{error[-2000:]}")
    found: dict[str, Any] = json.loads(said[0][0].splitlines()[-1])
    return found


def model(one: dict[str, Any], two: dict[str, Any], sums: dict[int, float]) -> dict[str, Any]:
    """Return the constants of T(N) = C / N + S + 2 (N - 1) / N B / W, and the step times of more workers."""
    sizes, took = np.array(list(sums)), np.array(list(sums.values()))
    seconds_a_byte, latency = np.polyfit(sizes, took, 1, w=1 / took)
    compute, step_of_two = (float(min(run["seconds"]) / run["steps"]) for run in (one, two))
    gradient = 4 * one["parameters"]
    # A ring sends 2 (N - 1) / N times the gradient through each worker; for two workers that is once.
    transfer = gradient * float(seconds_a_byte)
    fixed = max(0.0, step_of_two - compute / 2 - transfer)

    def step(count: int) -> float:
        summing = fixed + transfer * 2 * (count - 1) / count if count > 1 else 0.0
        return compute / count + summing

    return {
        "compute_seconds": compute,
        "fixed_seconds": fixed,
        "gradient_bytes": gradient,
        "bytes_a_second": 1 / float(seconds_a_byte),
        "latency_seconds": max(0.0, float(latency)),
        "step_seconds": {count: step(count) for count in CALCULATED},
    }


def table(result: dict[str, Any]) -> list[str]:
    """Return the lines of the two tables, in Markdown."""
    lines = ["| workers | images/s | step | speed-up | loss of the last epoch |", "|---|---|---|---|---|"]
    base = min(result["one"]["seconds"])
    for run in (result["one"], result["two"]):
        best = min(run["seconds"])
        lines.append(
            f"| {run['workers']} | {run['images'] / best:,.0f} | {1000 * best / run['steps']:.1f} ms "
            f"| {base / best:.2f} | {run['loss'][-1]:.6f} |"
        )
    found = result["model"]
    lines += ["", "| constant | value |", "|---|---|"]
    lines += [
        f"| C, computation of a step on one worker | {1000 * found['compute_seconds']:.1f} ms |",
        f"| S, fixed cost of a step | {1000 * found['fixed_seconds']:.1f} ms |",
        f"| B, size of the gradient | {found['gradient_bytes'] / 1e6:.2f} MB |",
        f"| W, bandwidth of a sum | {found['bytes_a_second'] / 1e6:,.0f} MB/s |",
        f"| latency of a sum | {1e6 * found['latency_seconds']:,.0f} us |",
    ]
    lines += ["", "| workers, calculated | step | speed-up |", "|---|---|---|"]
    steps = found["step_seconds"]
    lines += [f"| {count} | {1000 * took:.1f} ms | {steps[1] / took:.2f} |" for count, took in steps.items()]
    return lines


if __name__ == "__main__":
    main()
