"""Named sets of options. `config` explains the options."""

from __future__ import annotations

from typing import Any

RATES = ("rotation", "horizontal_flip", "vertical_flip", "zoom", "shift", "cutout")

# A mirrored photo still shows the same thing; a mirrored digit is a different sign. Aerial and microscope images can be
# turned any way.
PRESETS: dict[str, dict[str, float]] = {
    "photo": {"rotation": 5, "horizontal_flip": 0.5, "vertical_flip": 0, "zoom": 0.05, "shift": 0.08, "cutout": 0},
    "text": {"rotation": 10, "horizontal_flip": 0, "vertical_flip": 0, "zoom": 0.1, "shift": 0.1, "cutout": 0},
    "overhead": {"rotation": 180, "horizontal_flip": 0.5, "vertical_flip": 0.5, "zoom": 0.1, "shift": 0.1, "cutout": 0},
    "none": dict.fromkeys(RATES, 0.0),
}

RECIPES: dict[str, dict[str, Any]] = {
    # For slow cores, or thousands of images per second on a fast one.
    "small": {
        "block": "residual",
        "width": 16,
        "dense": 0,
        "dropout": 0.0,
        "schedule": "one-cycle",
        "warmup": 0.25,
        "epochs": 30,
    },
    # Few epochs of a large network, for 50,000 images of 32x32 within an hour on two cores. The network, the optimiser
    # and the rates are those of Jordan's CIFAR-10 records. The width is as large as the hour permits.
    "accurate": {
        "block": "pooled",
        "whitening": True,
        "width": 80,
        "dense": 0,
        "dropout": 0.0,
        "l2": 0.0,
        "optimizer": "muon",
        "learning_rate": 0.15,
        "schedule": "one-cycle",
        "warmup": 0.0,
        "label_smoothing": 0.2,
        "batch_size": 1024,
        "epochs": 25,
        "data_pruning": 0.5,
        "shift": 0.125,
        "cutout": 0.3,
        # More training images gain more accuracy here than a better choice of the best epoch.
        "validation_fraction": 0.01,
        "precision": "auto",
        "mirrored": True,
    },
}
