"""Measure the time of each operation in a training step, and what precision and our own layers save.

    python -m benchmarks.step [--recipe NAME] [--seconds S] [--json FILE]

First the recipe's step runs on random images in float32 and bfloat16, alternately with our layers and with Keras' own
layer in place of each. Then oneDNN reports the operations of the recipe's step, and a product of large matrices shows
the speed of the processor. TensorFlow only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from training import environment
from training.config import Config
from training.loop.compile import compile_model
from training.network import network
from training.network.served import faster_layers
from training.options import merge
from training.recipes import RECIPES

_CLASSES = 10
_PROFILED_STEPS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.step")
    parser.add_argument("--recipe", choices=("none", *RECIPES), default="accurate", help="recipe to measure (accurate)")
    parser.add_argument("--seconds", type=float, default=20, metavar="S", help="time to measure each variant (20)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--profile", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    config = merge({"recipe": options.recipe, "backbone": "none"}, None).for_images(50_000)
    if options.profile:
        _run_profiled(config)
        return
    result = {"recipe": options.recipe, "batch_size": config.batch_size, "cpus": len(os.sched_getaffinity(0))}
    result |= {"ways": ways(config, options.seconds), "products": products(), "operations": operations(options.recipe)}
    _show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


def ways(config: Config, seconds: float) -> dict[str, dict[str, float]]:
    """Return images/s and GFLOP/s of each variant of the step; the variants run in turns."""
    steps: dict[str, Callable[[], None]] = {}
    for precision in ("float32", "bfloat16"):
        model = _model(replace(config, precision=precision))
        work = flops(model)
        steps[precision] = _stepper(model, config)
        for ours, theirs in faster_layers().items():
            if any(isinstance(layer, ours) for layer in model.layers):
                slower = _with_keras_own(model, config, ours, theirs)
                steps[f"{precision}, Keras' {theirs.__name__}"] = _stepper(slower, config)
    for step in steps.values():
        step()  # traces the graph
    best = dict.fromkeys(steps, float("inf"))
    deadline = time.perf_counter() + seconds * len(steps)
    while time.perf_counter() < deadline:
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            best[name] = min(best[name], time.perf_counter() - started)
    size = config.batch_size or 1
    return {
        name: {"images_per_second": size / took, "gflops": 3 * work * size / took / 1e9} for name, took in best.items()
    }


def _with_keras_own(model: Any, config: Config, ours: type, theirs: Any) -> Any:
    import keras

    def replaced(layer: Any) -> Any:
        return (theirs if isinstance(layer, ours) else type(layer)).from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=replaced)
    compile_model(copy, config, 100)
    return copy


def flops(model: Any) -> int:
    """Return the floating-point operations of one image's convolutions, forward only; backward takes twice as many."""
    from keras import layers

    return sum(
        2 * prod(layer.kernel.shape) * prod(layer.output.shape[1:3])
        for layer in model.layers
        if isinstance(layer, layers.Conv2D)
    )


def products(size: int = 4096) -> dict[str, float]:
    """Return the GFLOP/s of a product of two large matrices, the best that these cores reach."""
    import tensorflow as tf

    found = {}
    for precision in ("float32", "bfloat16"):
        matrix = tf.cast(tf.random.normal((size, size)), precision)
        product = tf.function(tf.matmul)
        took = float("inf")
        for _ in range(5):
            started = time.perf_counter()
            product(matrix, matrix)
            took = min(took, time.perf_counter() - started)
        found[precision] = 2 * size**3 / took / 1e9
    return found


def operations(recipe: str) -> dict[str, float]:
    """Return the milliseconds per step of each kind of operation, and of the rest as `other`."""
    environ = os.environ | {"ONEDNN_VERBOSE": "1"}
    command = [sys.executable, "-m", "benchmarks.step", "--profile", "--recipe", recipe]
    lines = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout.splitlines()
    # The lines before belong to tracing the graph and warming up.
    lines = lines[lines.index("measured") + 1 :]
    spent: dict[str, float] = defaultdict(float)
    for line in lines:
        fields = line.split(",")
        if line.startswith("onednn_verbose") and "exec" in fields:
            at = fields.index("exec")
            kind = f"{fields[at + 2]}, {fields[at + 4]}" if fields[at + 2] == "convolution" else fields[at + 2]
            spent[kind] += float(fields[-1]) / _PROFILED_STEPS
    step = float(lines[-1]) * 1000
    return dict(sorted(spent.items(), key=lambda item: -item[1])) | {"other": step - sum(spent.values()), "step": step}


def _run_profiled(config: Config) -> None:
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(1)  # run one by one, operations have times that add up
    step = _stepper(_model(config), config)
    step()
    step()
    print("measured", flush=True)  # noqa: T201
    started = time.perf_counter()
    for _ in range(_PROFILED_STEPS):
        step()
    print(f"\n{(time.perf_counter() - started) / _PROFILED_STEPS}", flush=True)  # noqa: T201


def _model(config: Config) -> Any:
    environment.start_keras(config.seed)
    model = network.build(config, _CLASSES)
    compile_model(model, config, 100)
    return model


def _stepper(model: Any, config: Config) -> Callable[[], None]:
    rng, size = np.random.default_rng(0), config.batch_size or 1
    images = rng.integers(0, 256, (size, config.image_size, config.image_size, 3), dtype=np.uint8)
    labels = np.eye(_CLASSES, dtype=np.float32)[rng.integers(0, _CLASSES, size)]

    def step() -> None:
        model.train_on_batch(images, labels)

    return step


def _show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("variant", "images/s", "GFLOP/s", title=f"recipe {result['recipe']}, batch {result['batch_size']}")
    for name, figures in result["ways"].items():
        table.add_row(name, f"{figures['images_per_second']:,.0f}", f"{figures['gflops']:,.0f}")
    for name, speed in result["products"].items():
        table.add_row(f"product of matrices, {name}", "", f"{speed:,.0f}")
    console.print(table)
    table = Table("operation", "ms per step", "share")
    for name, took in result["operations"].items():
        table.add_row(name, f"{took:.1f}", f"{took / result['operations']['step']:.0%}")
    console.print(table)


if __name__ == "__main__":
    main()
