"""The networks that a training can start from, and their options. `pretrained` builds them."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model_format.layout import FILES
from model_format.metadata import Metadata
from training.config import IMAGENET, NONE, Config
from training.errors import ModelError, UsageError
from training.fields import AUTO
from training.network import efficientnet_lite
from training.store import open_model

SUFFIXES = (".weights.h5", ".h5", ".keras")


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications` or of this package."""

    constructor: str
    """Its name in `keras.applications`; empty if `efficientnet_lite` builds it."""
    scaling: str
    """How pixels are scaled for it: a key of `pretrained.SCALINGS`."""
    default_size: int = 224
    minimum_size: int = 32


def _sizes(family: str, scaling: str, sizes: dict[str, int]) -> dict[str, Application]:
    return {(family + name).lower(): Application(family + name, scaling, size) for name, size in sizes.items()}


APPLICATIONS: dict[str, Application] = {
    **{name: Application("", "by_127", variant.size) for name, variant in efficientnet_lite.VARIANTS.items()},
    **_sizes("ResNet", "caffe", {"50": 224, "101": 224, "152": 224}),
    **_sizes("ResNet", "tf", {"50V2": 224, "101V2": 224, "152V2": 224}),
    **_sizes("VGG", "caffe", {"16": 224, "19": 224}),
    **_sizes("MobileNet", "tf", {"": 224, "V2": 224, "V3Small": 224, "V3Large": 224}),
    **_sizes("EfficientNet", "torch", {"B0": 224, "B1": 240, "B2": 260, "B3": 300, "B4": 380, "B5": 456}),
    **_sizes("EfficientNetV2", "torch", {"B0": 224, "B1": 240, "B2": 260, "B3": 300}),
    **_sizes("EfficientNetV2", "by_128", {"S": 384, "M": 480}),
    **_sizes("DenseNet", "torch", {"121": 224, "169": 224, "201": 224}),
    "xception": Application("Xception", "tf", 299, 71),
    "inceptionv3": Application("InceptionV3", "tf", 299, 75),
    "inceptionresnetv2": Application("InceptionResNetV2", "tf", 299, 75),
}
"""The networks by name, with the image sizes of their weights. ConvNeXt is missing: its layers have no ONNX form."""


def is_stored(name: str) -> bool:
    """Return whether `name` is a tag of the model store; no network of Keras has a colon in its name."""
    return ":" in name


def settle(config: Config) -> Config:
    """Return `config` with checked backbone options, and with the image size, weights and digest that follow from them.

    Raises:
        UsageError: an option's value can't be used.
        ModelError: the store has no such model.
    """
    assert config.backbone != AUTO
    if not config.has_backbone:
        if config.weights or config.weights_sha256:
            raise UsageError("--weights needs --backbone, the network that the weights belong to")
        return config
    return _stored(config) if is_stored(config.backbone) else _application(config)


def _application(config: Config) -> Config:
    name = config.backbone.lower()
    if name not in APPLICATIONS:
        near = difflib.get_close_matches(name, APPLICATIONS, n=1, cutoff=0)[0]
        raise UsageError(
            f"--backbone is {config.backbone!r}; did you mean {near}? It takes {', '.join(APPLICATIONS)}, "
            "or a stored model as NAME:VERSION"
        )
    network = APPLICATIONS[name]
    size = config.image_size or network.default_size
    if size < network.minimum_size:
        raise UsageError(f"--image-size is {size}; {name} needs at least {network.minimum_size}")
    weights, digest = config.weights or IMAGENET, config.weights_sha256
    if weights == IMAGENET and name in efficientnet_lite.VARIANTS:
        efficientnet_lite.file(name)  # a missing package is named now, and not after all images are decoded
    if weights in (IMAGENET, NONE):
        if digest:
            raise UsageError("--weights-sha256 needs --weights FILE")
    else:
        digest = verified(Path(weights), digest)
    return replace(config, backbone=name, image_size=size, weights=weights, weights_sha256=digest)


def verified(file: Path, digest: str | None) -> str:
    """Return the SHA-256 of the weights in `file`, which must equal `digest` if one is given.

    Raises:
        UsageError: the digest differs, or the file can't be read or has another suffix.
    """
    if not file.name.endswith(SUFFIXES):
        raise UsageError(f"--weights is {str(file)!r}; it takes imagenet, none, or a file: *{', *'.join(SUFFIXES)}")
    try:
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"--weights {file}: {error.strerror}") from error
    if digest and found != digest.lower():
        raise UsageError(f"--weights {file} has the SHA-256 {found}, not {digest}")
    return found


def _stored(config: Config) -> Config:
    stored, about = find(config.backbone)
    size = about.image_size
    if config.image_size not in (None, size):
        raise UsageError(f"--image-size is {config.image_size}; {stored.tag} takes {size}; omit the option")
    if config.weights not in (None, NONE):
        raise UsageError(f"--weights is {config.weights!r}; {stored.tag} has its own; omit the option or pass none")
    digest = config.weights_sha256
    if config.weights is None:
        digest = verified(Path(stored.path, FILES["keras"]), digest)
    resize = about.resize if config.resize == AUTO else config.resize
    return replace(config, backbone=str(stored.tag), image_size=size, resize=resize, weights_sha256=digest)


def find(tag: str) -> tuple[Any, Metadata]:
    """Return the entry `tag` of the model store and its metadata, with a Keras form.

    Raises:
        ModelError: it isn't there, is of a newer schema, or has no Keras form.
    """
    try:
        stored, about = open_model(tag)
    except ModelError as error:
        raise ModelError(f"--backbone: {error}") from error
    if not Path(stored.path, FILES["keras"]).exists():
        raise ModelError(f"--backbone: {tag} was not made by this project's training: it has no {FILES['keras']}")
    return stored, about


def identity(config: Config) -> str:
    """Return a text that names the settled backbone of `config` and its weights; it can be a file's name."""
    from importlib.metadata import version

    digest = config.weights_sha256
    if digest is None and config.backbone in efficientnet_lite.VARIANTS:
        digest = efficientnet_lite.VARIANTS[config.backbone].sha256
    # Keras checks what it downloads by hashes of its own.
    return f"{config.backbone.replace(':', '-')}-{digest[:16] if digest else 'keras-' + version('keras')}"


def describe(config: Config) -> dict[str, Any] | None:
    """Return the report's section on the backbone, or None without one."""
    if not config.has_backbone:
        return None
    weights, digest = config.weights or "its own", config.weights_sha256
    if weights == IMAGENET and config.backbone in efficientnet_lite.VARIANTS:
        digest = efficientnet_lite.VARIANTS[config.backbone].sha256
    return {"name": config.backbone, "weights": weights, "sha256": digest}
