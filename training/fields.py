"""Every option of a training run: its default, meaning and bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import imaging
from training.recipes import PRESETS, RECIPES

AUTO = "auto"
"""The value of an option that a training decides on by itself."""
DATASETS = ("digits", "cifar10", "fashion-mnist")


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
    """Return a field of `Fields` with its description for the command line. `also` is an older name of the option."""
    metadata = {"group": group, "help": help_, "choices": choices, "low": low, "high": high, "also": also}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Fields:
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
        "folder with one folder of images per class, an archive of such folders or of WebDataset's shards (.zip, .tar, "
        ".tar.gz), or a list of images and labels (.csv, .tsv, .jsonl), each as a path or a URL (s3://, gs:// or "
        "az://BUCKET/DIR); or one of the built-in data sets " + ", ".join(DATASETS),
    )
    test_data: str | None = option(
        None, "data", "test images of the same classes, given like --data (default: a part of --data)"
    )
    validation_data: str | None = option(
        None, "data", "validation images of the same classes, given like --data (default: a part of --data)"
    )
    images_root: str | None = option(
        None,
        "data",
        "folder or URL that the paths in a list are relative to and stay inside (default: the list's own folder)",
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
    resize: str = option(
        AUTO,
        "data",
        "what happens to an image that is no square: stretch it, letterbox (grey bars beside it) or crop (its middle); "
        "auto is stretch, unless --backbone auto measures that another is better",
        choices=(AUTO, *imaging.RESIZES),
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
        "how to treat classes of unequal size; auto is logit-adjustment if the largest class has more than 1.5 times "
        "the images of the smallest, which favours small classes as far as macro F1 gains and accuracy hardly loses",
        choices=("auto", "logit-adjustment", "class-weights", "oversample", "none"),
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
    dense: int = option(
        128, "network", "units of the hidden dense layer, which a backbone doesn't have; 0 omits it", low=0, high=8192
    )
    l2: float = option(1e-4, "network", "L2 penalty on all kernels", low=0, high=1)

    backbone: str = option(
        "auto",
        "backbone",
        "network to start from that was trained on other images: efficientnet-lite0, resnet50, efficientnetb0, ..., or "
        "a stored model as NAME:VERSION; none is the small network of the options above; auto compares both kinds on "
        "images that they weren't trained on",
    )
    weights: str | None = option(
        None,
        "backbone",
        "weights of the backbone: imagenet (installed for efficientnet-lite, otherwise downloaded by Keras), a Keras "
        "file, or none for random ones (default: imagenet, or those of the stored model)",
    )
    weights_sha256: str | None = option(None, "backbone", "SHA-256 that the file of weights must have")
    fine_tune_layers: int = option(
        40,
        "backbone",
        "number of the backbone's last layers with weights that are trained once the head is fitted; 0 trains none",
        low=0,
        high=10_000,
    )
    fine_tune_rate: float = option(3e-4, "backbone", "peak learning rate of these layers", low=1e-8, high=10)

    budget: str = option(
        "10m",
        "backbone",
        "time that --backbone auto may plan for the comparison and the training of a pretrained network, such as 90s, "
        "10m or 2h",
    )
    max_ms: float | None = option(
        None,
        "backbone",
        "longest time of an image on one core, in milliseconds; --backbone auto leaves out slower networks (default: "
        "none)",
        low=0.01,
    )

    epochs: int | None = option(
        None,
        "training",
        "maximum number of epochs (default: enough for 1,000 steps, within 20 to 60; with a pretrained backbone, for "
        "400 steps, within 8 to 20)",
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
        "epochs without a better validation loss before training stops (default: a third of --epochs, at least 5; "
        "fine-tuning goes through all epochs and keeps the last)",
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
    tensorboard: bool = option(
        False, "result", "write the figures of each epoch for TensorBoard too, into the run's folder"
    )
