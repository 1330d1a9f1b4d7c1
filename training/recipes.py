"""Named sets of options. What an option means is said in `config`."""

from __future__ import annotations

from typing import Any

RECIPES: dict[str, dict[str, Any]] = {
    # For a slow core, or thousands of images a second on a fast one.
    "small": {
        "block": "residual",
        "width": 16,
        "dense": 0,
        "dropout": 0.0,
        "schedule": "one-cycle",
        "warmup": 0.25,
        "epochs": 30,
    },
    # The best accuracy that an hour of two cores buys for 50,000 images of 32x32. Large steps of SGD with momentum
    # that end at zero, after He et al. (2016) and the one-cycle runs of Smith and Topin (2018).
    "accurate": {
        "block": "residual",
        "width": 64,
        "dense": 0,
        "dropout": 0.0,
        "optimizer": "sgd",
        "learning_rate": 0.2,
        "l2": 2.5e-4,
        "schedule": "one-cycle",
        "warmup": 0.2,
        "label_smoothing": 0.1,
        "ema": 0.995,
        "batch_size": 256,
        "epochs": 32,
        # What it costs in images to learn from is worth more here than a sharper choice of the best epoch.
        "validation_fraction": 0.04,
        "precision": "auto",
    },
}
