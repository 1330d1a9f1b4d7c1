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
    # Few epochs of a large network, for 50,000 images of 32x32 within an hour of two cores. Large steps of SGD with
    # momentum that end at zero, after the one-cycle runs of Smith and Topin (2018). Step and penalty belong together:
    # their product says how fast the direction of normalised weights can turn, and few epochs need it to be high.
    "accurate": {
        "block": "residual",
        "whitening": True,
        "width": 64,
        "dense": 0,
        "dropout": 0.0,
        "optimizer": "sgd",
        "learning_rate": 0.25,
        "l2": 6e-4,
        "schedule": "one-cycle",
        "warmup": 0.2,
        "label_smoothing": 0.1,
        "batch_size": 256,
        "epochs": 20,
        # What it costs in images to learn from is worth more here than a sharper choice of the best epoch.
        "validation_fraction": 0.04,
        "precision": "auto",
        "mirrored": True,
    },
}
