"""Every option of a training run: its default, its meaning, its bounds. Knows nothing of argparse or TOML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from training.errors import UsageError
from training.recipes import PRESETS, RATES, RECIPES
from training.url import is_url, parse

DATASETS = ("digits", "cifar10", "fashion-mnist")
_TEXT_DATASETS = ("digits",)
# What BentoML takes; checked here, not after hours of training.
_STORE_NAME = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?")


def option(
    default: Any,
    group: str,
    help_: str,
    *,
    choices: tuple[str, ...] | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """A field of `Config`; the command line is made from what is said here."""
    metadata = {"group": group, "help": help_, "choices": choices, "low": low, "high": high}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """One training run. None means: decided from the data (`for_images`), the preset, or another option."""

    recipe: str = option(
        "none", "recipe", "named options that each flag here can still change", choices=("none", *RECIPES)
    )

    data: str = option(
        "",
        "data",
        "folder with one folder of images a class, as DIR, s3://, gs:// or az://BUCKET/DIR; or one of "
        + ", ".join(DATASETS),
    )
    test_data: str | None = option(None, "data", "folder (or URL) of the same classes to test on, instead of a split")
    # An int for all who read it: settled here, or by the backbone.
    image_size: int = option(
        None, "data", "images are resized to N x N pixels (32, or what the backbone is made for)", low=8, high=1024
    )
    validation_fraction: float = option(0.1, "data", "part kept for early stopping", low=0.01, high=0.5)
    test_fraction: float = option(0.1, "data", "part kept for the evaluation", low=0.01, high=0.5)
    balance: str = option(
        "auto",
        "data",
        "against unequal class sizes; auto takes class weights where the largest class has over 1.5 times "
        "the images of the smallest",
        choices=("auto", "class-weights", "oversample", "none"),
    )
    strict: bool = option(False, "data", "end at the first unreadable or foreign file")
    workers: int | None = option(None, "data", "processes that decode images (one a core)", low=1, high=256)
    cache_dir: str | None = option(
        None, "data", "folder of decoded images, 3 x N x N bytes each (~/.cache/image-classifier)"
    )

    exclude: str | None = option(
        None, "checks", "leave out the files of this list, as `python -m training check --fix` writes it"
    )
    check_labels: bool = option(
        False, "checks", "look for wrong labels before training, by training smaller networks three times"
    )

    preset: str = option(
        "auto",
        "augmentation",
        "rates fit for a kind of image; auto is text for digits, else photo",
        choices=("auto", *PRESETS),
    )
    rotation: float | None = option(None, "augmentation", "up to so many degrees either way", low=0, high=180)
    horizontal_flip: float | None = option(None, "augmentation", "probability", low=0, high=1)
    vertical_flip: float | None = option(None, "augmentation", "probability", low=0, high=1)
    zoom: float | None = option(None, "augmentation", "in or out by up to this fraction", low=0, high=0.9)
    shift: float | None = option(None, "augmentation", "by up to this fraction of the width", low=0, high=0.9)
    cutout: float | None = option(
        None, "augmentation", "hide a square of this fraction of the width, anywhere in the image", low=0, high=0.9
    )

    block: str = option("plain", "network", "what a stage is made of", choices=("plain", "residual", "pooled"))
    whitening: bool = option(
        False, "network", "begin with a convolution that whitens patches of pixels, computed from training images"
    )
    depth: int = option(3, "network", "stages of convolutions and a pooling", low=1, high=8)
    width: int = option(
        32,
        "network",
        "filters of the first stage; each further one has twice as many as the one before, pooled four times this",
        low=4,
        high=512,
    )
    activation: str = option("relu", "network", "", choices=("relu", "silu", "elu"))
    dropout: float = option(0.1, "network", "rate before the dense layer; half after each stage", low=0, high=0.9)
    dense: int = option(128, "network", "units of the hidden dense layer; 0 leaves it out", low=0, high=8192)
    l2: float = option(1e-4, "network", "L2 penalty on all kernels", low=0, high=1)

    backbone: str | None = option(
        None,
        "backbone",
        "a network that has been trained on other images to start from: resnet50, efficientnetb0, mobilenetv2, ..., "
        "or a stored model as NAME:VERSION",
    )
    weights: str | None = option(
        None, "backbone", "its weights: imagenet (downloaded by Keras), a file of Keras', or none (random) (imagenet)"
    )
    weights_sha256: str | None = option(None, "backbone", "refuse weights with another SHA-256")
    head_epochs: int | None = option(
        None, "backbone", "most epochs of the head alone (as --epochs)", low=0, high=10_000
    )
    fine_tune_layers: int = option(
        20, "backbone", "last layers with weights to be trained after the head; 0 leaves them all", low=0, high=10_000
    )
    fine_tune_rate: float | None = option(
        None, "backbone", "peak learning rate then (a tenth of --learning-rate)", low=1e-8, high=10
    )

    epochs: int | None = option(None, "training", "most epochs (1,000 steps, within 20 to 60)", low=1, high=10_000)
    batch_size: int | None = option(None, "training", "images a step (16, 32 or 64, by their number)", low=1, high=8192)
    optimizer: str = option("adam", "training", "", choices=("adam", "adamw", "sgd", "muon"))
    learning_rate: float | None = option(
        None, "training", "peak learning rate (0.002; 0.05 for sgd, 0.15 for muon)", low=1e-8, high=10
    )
    schedule: str = option(
        "cosine",
        "training",
        "cosine has a linear warm-up; one-cycle rises and falls in straight lines",
        choices=("cosine", "one-cycle"),
    )
    warmup: float = option(0.1, "training", "part of all steps that warms up", low=0, high=0.9)
    label_smoothing: float = option(
        0.0, "training", "share of each label that is spread over all classes", low=0, high=0.9
    )
    data_pruning: float = option(
        0.0,
        "training",
        "leave out at random this part of the images with a loss below the mean, count the others of them for it, and "
        "begin the next pass the sooner; not in the last 15% of epochs",
        low=0,
        high=0.9,
    )
    precision: str = option(
        "float32",
        "training",
        "of the arithmetic of training; auto is bfloat16 where the processor is faster with it",
        choices=("float32", "bfloat16", "auto"),
    )
    patience: int | None = option(
        None, "training", "epochs without a better validation loss before stopping (a third, at least 5)", low=1
    )
    refit: bool = option(
        False, "training", "train on the validation images too, for exactly --epochs; the last epoch is kept"
    )
    seed: int = option(0, "training", "seeds split, weights, order and augmentation", low=0, high=2**31 - 1)

    out: str | None = option(None, "result", "folder for report.html, metrics.json and pictures (runs/DATE-TIME)")
    name: str = option("image_classifier", "result", "name in the model store")
    min_accuracy: float = option(0.0, "result", "refuse to publish below this test accuracy", low=0, high=1)
    mirrored: bool = option(
        False,
        "result",
        "answer for an image and its mirror image together, where --horizontal-flip says that they are the same: "
        "fewer mistakes for twice the work",
    )
    moved: bool = option(
        False,
        "result",
        "answer for an image and for it moved by a pixel, both ways, together: fewer mistakes for three times the work",
    )
    calibrate: bool = option(True, "result", "fit the confidence to how often validation images are right")
    int8: bool = option(True, "result", "also export an int8 form")
    publish: bool = option(True, "result", "put the model into the store")

    def __post_init__(self) -> None:
        if self.image_size is None and self.backbone is None:
            object.__setattr__(self, "image_size", 32)
        for f in fields(self):
            _check(f.name, getattr(self, f.name), f.metadata)
        if self.backbone and self.optimizer == "muon":
            raise UsageError("--optimizer muon is for networks that start from nothing, not for --backbone; take adamw")
        for name in ("data", "test_data"):
            if is_url(getattr(self, name) or ""):
                parse(getattr(self, name), flag(name))
        if not _STORE_NAME.fullmatch(self.name):
            raise UsageError(
                f"--name is {self.name!r}; it takes up to 63 of a-z, 0-9, '-', '_' and '.', the first and last "
                "a letter or digit"
            )

    @property
    def peak_learning_rate(self) -> float:
        if self.learning_rate is not None:
            return self.learning_rate
        return {"sgd": 0.05, "muon": 0.15}.get(self.optimizer, 0.002)

    @property
    def pruned_epochs(self) -> int:
        """How many epochs leave images out, where `data_pruning` says so; settled by `for_images`."""
        return round(0.85 * (self.epochs or 0))

    @property
    def augmentation(self) -> dict[str, float]:
        """The rates in force: the preset's, but for those given."""
        preset = self.preset
        if preset == "auto":
            preset = "text" if self.data in _TEXT_DATASETS else "photo"
        given = {rate: getattr(self, rate) for rate in RATES}
        return PRESETS[preset] | {rate: value for rate, value in given.items() if value is not None}

    @property
    def answers_mirrored(self) -> bool:
        """Whether the model looks at the mirror image too: only where training showed mirror images."""
        return self.mirrored and self.augmentation["horizontal_flip"] > 0

    def for_images(self, images: int) -> Config:
        """Settle what depends on the number of training images.

        Few images mean small batches, so that an epoch still has some steps, and many epochs.
        """
        batch_size = self.batch_size or (16 if images < 1_000 else 32 if images < 10_000 else 64)
        epochs = self.epochs
        if epochs is None:
            steps = -(-images // batch_size)
            epochs = min(60, max(20, -(-1000 // steps)))
        patience = self.patience or max(5, -(-epochs // 3))
        head_epochs = epochs if self.backbone and self.head_epochs is None else self.head_epochs
        return replace(self, batch_size=batch_size, epochs=epochs, patience=patience, head_epochs=head_epochs)

    def relocatable(self) -> Config:
        """Return what can be run again from any folder: absolute paths, and no place for the result."""

        def absolute(path: str | None) -> str | None:
            if path in (None, *DATASETS, "imagenet", "none") or is_url(path):
                return path
            return str(Path(path).resolve())

        return replace(
            self,
            data=absolute(self.data) or "",
            test_data=absolute(self.test_data),
            weights=absolute(self.weights),
            cache_dir=absolute(self.cache_dir),
            exclude=absolute(self.exclude),
            out=None,
        )


def _check(name: str, value: Any, metadata: Any) -> None:
    if value is None:
        return
    choices, low, high = metadata["choices"], metadata["low"], metadata["high"]
    if choices and value not in choices:
        raise UsageError(f"{flag(name)} is {value!r}; choose one of {', '.join(choices)}")
    # Written so that NaN fails too.
    if low is not None and not value >= low:
        raise UsageError(f"{flag(name)} is {value}; it must be at least {low}")
    if high is not None and not value <= high:
        raise UsageError(f"{flag(name)} is {value}; it must be at most {high}")


def flag(name: str) -> str:
    """The command line's spelling of a field's name."""
    return "--" + name.replace("_", "-")
