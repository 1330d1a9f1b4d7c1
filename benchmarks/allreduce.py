"""Run one process of `benchmarks.scaling` that times sums over all workers, by size. Prints JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time

import numpy as np

from training import environment
from training.distributed import workers

SIZES = (1, 1_000, 10_000, 100_000, 1_000_000, 4_000_000)
"""Number of float32 values in a sum."""

_REPEATS = 20


def main() -> None:
    """Measure and print."""
    group = workers.here()
    environment.start_keras(0)
    workers.join(group)
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    mesh = Mesh(np.array(jax.devices()), ("worker",))
    divided, whole = NamedSharding(mesh, PartitionSpec("worker")), NamedSharding(mesh, PartitionSpec())
    total = jax.jit(lambda x: x.sum(axis=0), out_shardings=whole)
    found: dict[int, float] = {}
    for size in SIZES:
        mine = jax.make_array_from_process_local_data(divided, np.ones((1, size), np.float32))
        took = []
        for _ in range(_REPEATS + 1):
            started = time.perf_counter()
            total(mine).block_until_ready()
            took.append(time.perf_counter() - started)
        found[4 * size] = statistics.median(took[1:])
    workers.part_from(group)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
