"""Build a backbone with its weights: a named network, or the layers of a stored model, as `backbone` settled it."""

from __future__ import annotations

import contextlib
import socket
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model_format.layout import FILES
from training.config import IMAGENET, NONE, Config
from training.errors import ModelError, UsageError, one_line
from training.network import efficientnet_lite
from training.network.backbone import APPLICATIONS, find, is_stored, verified

VIEWS = "views"
"""Name of the layer that adds further views of the images to the batch, in a model that classifies several views."""

_SECONDS_WITHOUT_AN_ANSWER = 15

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCALINGS: dict[str, tuple[Any, Any]] = {
    "tf": (1 / 127.5, -1.0),
    "by_127": (1 / 128, -127 / 128),
    "by_128": (1 / 128, -1.0),
    "torch": (
        [1 / (255 * deviation) for deviation in _DEVIATION],
        [-mean / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)],
    ),
    "caffe": (1.0, [-123.68, -116.779, -103.939]),
}
"""Scale and offset of red, green and blue, as in `keras.applications.imagenet_utils.preprocess_input`.

"by_127" is that of EfficientNet-Lite's authors. With ImageNet's mean and deviation, the variance in front of its first
batch normalisation is six times the one that came with the weights.
"""


def features(config: Config, image: Any) -> Any:
    """Return the backbone's feature maps, (B, h, w, c) float32, of the Keras input `image`, (B, S, S, 3) uint8.

    A pretrained backbone runs in inference mode even while its layers are trained: its batch normalisation keeps the
    statistics that came with it, because the few images of a small folder would make them worse.

    Raises:
        UsageError: the weights belong to another network.
        ModelError: the weights can't be downloaded, or the stored model can't be used.
    """
    assert config.has_backbone
    if is_stored(config.backbone):
        backbone = _stored(config)
    else:
        image, backbone = _scaled(config.backbone, image), _application(config)
    return backbone(image, training=False) if config.is_pretrained else backbone(image)


def _scaled(name: str, image: Any) -> Any:
    from keras import layers

    scaling = APPLICATIONS[name].scaling
    scale, offset = SCALINGS[scaling]
    scaled = layers.Rescaling(scale, offset, name="preprocessing")(image)
    return scaled[..., ::-1] if scaling == "caffe" else scaled  # Caffe's networks expect blue first


def _application(config: Config) -> Any:
    name, from_imagenet = config.backbone, config.weights == IMAGENET
    if name in efficientnet_lite.VARIANTS:
        source = efficientnet_lite.build(name, config.image_size)
        if from_imagenet:
            _assign(source, efficientnet_lite.imagenet(name)[:-2])  # the last two belong to its head
    else:
        with _download(name) if from_imagenet else contextlib.nullcontext():
            source = _of_keras(name, config.image_size, IMAGENET if from_imagenet else None)
    if config.weights not in (IMAGENET, NONE):
        _load(source, Path(config.weights or ""), config)
    return _without_own_scaling(source)


def _of_keras(name: str, size: int, weights: str | None) -> Any:
    from keras import applications

    constructor = APPLICATIONS[name].constructor
    options: dict[str, Any] = {"include_top": False, "input_shape": (size, size, 3)}
    if constructor.startswith(("EfficientNetV2", "MobileNetV3")):
        options["include_preprocessing"] = False  # `_scaled` does it
    return getattr(applications, constructor)(weights=weights, **options)


def _without_own_scaling(source: Any) -> Any:
    """Return `source` without the scaling inside Keras' EfficientNet.

    That is a `Normalization` whose numbers are weights, and it has no ONNX form. Its numbers are correct only with
    ImageNet's weights, and only if Keras downloaded them.
    """
    from keras import layers, models

    if not any(isinstance(layer, layers.Normalization) for layer in source.layers):
        return source

    def clone(layer: Any) -> Any:
        if isinstance(layer, (layers.Normalization, layers.Rescaling)):
            return layers.Identity(name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    network = models.clone_model(source, clone_function=clone)
    _assign(network, weights(source))
    return network


@contextlib.contextmanager
def _download(name: str) -> Iterator[None]:
    """Let Keras download weights to ~/.keras/models, and give up soon if there is no network."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS_WITHOUT_AN_ANSWER)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints progress to stdout
            yield
    except Exception as error:  # Keras raises Exception itself for a failed download
        raise ModelError(
            f"the ImageNet weights of {name} can't be downloaded ({one_line(error)}); pass a local file instead: "
            "--weights FILE"
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _load(network: Any, file: Path, config: Config) -> None:
    """Load the weights in `file` into `network`; from a .keras file, those of the same network inside it."""
    verified(file, config.weights_sha256)
    if file.suffix == ".keras":
        _assign(network, _same_network(network, _read(file, f"--weights {file}"), file))
        return
    drawn = _kernels(network)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of weights that it skips; the check is below
            network.load_weights(file)
    except Exception as error:  # Keras, h5py and NumPy each raise their own
        raise UsageError(f"--weights {file} holds no weights of {config.backbone}: {one_line(error)}") from error
    for name, kernel in _kernels(network).items():
        if (kernel == drawn[name]).all():
            raise UsageError(f"--weights {file} holds no weights of {config.backbone}: none for its layer {name}")


def _kernels(network: Any) -> dict[str, Any]:
    """Return a copy of each kernel by its layer's name. The kernels of a new network are random."""
    layers = [layer for layer in leaves(network) if hasattr(layer, "kernel")]
    return {layer.name: layer.kernel.numpy() for layer in layers}


def _read(file: Path, option: str) -> Any:
    import keras

    if not zipfile.is_zipfile(file):
        raise UsageError(f"{option} is no Keras model: it isn't a .keras file, or it is truncated")
    try:
        return keras.saving.load_model(file, compile=False)
    except Exception as error:  # zipfile, h5py, json and Keras each raise their own
        raise UsageError(f"{option} is no Keras model: {one_line(error)}") from error


def _same_network(network: Any, model: Any, file: Path) -> list[Any]:
    """Return the weights in `model` that match those of `network`; weights after them belong to a head."""
    wanted = [tuple(weight.shape) for weight in weights(network)]
    for candidate in (model, *_models_within(model)):
        found = weights(candidate)[: len(wanted)]
        if [tuple(weight.shape) for weight in found] == wanted:
            return found
    raise UsageError(f"--weights {file} holds another network than --backbone, or one with other shapes")


def _stored(config: Config) -> Any:
    """Return the layers of the stored model up to its pooling."""
    import keras

    file = Path(find(config.backbone)[0].path, FILES["keras"])
    option = f"--backbone {config.backbone}"
    if config.is_pretrained:
        verified(file, config.weights_sha256)
    model = _read(file, option)
    kinds = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
    pooling = [layer for layer in model.layers if isinstance(layer, kinds)]
    if not pooling:
        raise ModelError(f"{option} has no global pooling, so its features can't be found")
    # Begin after the layer of views: they belong to that model's answer, not to its features.
    begins = [layer.output for layer in model.layers if layer.name == VIEWS] or [model.input]
    backbone = keras.Model(begins[0], pooling[-1].input, name="backbone")
    # Layers that are built from their configuration have new weights.
    return backbone if config.is_pretrained else keras.Model.from_config(backbone.get_config())


def backbone_of(model: Any) -> Any:
    """Return the backbone in a network, the one model among its layers."""
    return next(_models_within(model))


def leaves(model: Any) -> list[Any]:
    """Return the layers of `model` and of the models within it, in order, without those models themselves."""
    import keras

    found: list[Any] = []
    for layer in model.layers:
        found += leaves(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def weights(model: Any) -> list[Any]:
    """Return the weights of `model`, layer by layer, without fixed scalings."""
    import keras

    scaling = keras.layers.Normalization
    return [weight for layer in leaves(model) if not isinstance(layer, scaling) for weight in layer.weights]


def _models_within(model: Any) -> Iterator[Any]:
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield layer
            yield from _models_within(layer)


def _assign(network: Any, values: list[Any]) -> None:
    for weight, value in zip(weights(network), values, strict=True):
        weight.assign(value)
