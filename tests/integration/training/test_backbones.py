"""Networks of `keras.applications` as backbones: pixel scaling, weights from files, frozen layers."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.config import Config
from training.environment import start_keras
from training.errors import ModelError, UsageError
from training.forms import onnx_model
from training.loop import phases
from training.loop.checkpoint import Progress
from training.network import backbone, efficientnet_lite, network, pretrained

# TensorFlow's and BentoML's own, of NumPy and pathspec.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SMALL = Config(data="x", backbone="mobilenetv3small", image_size=32, epochs=3, fine_tune_layers=3, weights="none")


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    start_keras(0)
    yield
    import keras

    keras.backend.clear_session()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The same weights in each kind of file, and their network."""
    import keras

    start_keras(5)
    folder = tmp_path_factory.mktemp("weights")
    model = keras.applications.MobileNetV3Small(
        include_top=False, weights=None, input_shape=(32, 32, 3), include_preprocessing=False
    )
    model.save_weights(folder / "a.weights.h5")
    model.save(folder / "a.keras")
    model.save(folder / "a.h5")
    return folder, model


def pixels(size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "module"),
    [("resnet50", "resnet"), ("resnet50v2", "resnet_v2"), ("densenet121", "densenet"), ("vgg16", "vgg16")],
)
def test_the_graph_scales_pixels_as_keras_does(name: str, module: str) -> None:
    import keras

    image = keras.Input((8, 8, 3), dtype="uint8")
    scaled = keras.Model(image, pretrained._scaled(name, image)).predict(pixels(8), verbose=0)
    preprocess = importlib.import_module(f"keras.applications.{module}").preprocess_input
    np.testing.assert_allclose(scaled, preprocess(pixels(8).astype(np.float32)), atol=1e-4)


@pytest.mark.parametrize("file", ["a.weights.h5", "a.h5", "a.keras"])
def test_weights_are_loaded_from_each_kind_of_keras_file(source: tuple[Path, Any], file: str) -> None:
    folder, model = source
    config = backbone.settle(replace(SMALL, weights=str(folder / file)))
    built = pretrained.backbone_of(network.build(config, 2))
    for ours, theirs in zip(pretrained.weights(built), pretrained.weights(model), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_backbone_is_loaded_from_a_whole_model_too(tmp_path: Path) -> None:
    whole = network.build(SMALL, 2)
    whole.save(tmp_path / "ours.keras")
    built = network.build(backbone.settle(replace(SMALL, weights=str(tmp_path / "ours.keras"))), 5)
    for ours, theirs in zip(*map(pretrained.weights, map(pretrained.backbone_of, (built, whole))), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_file_without_these_weights_is_refused_in_one_line(source: tuple[Path, Any], tmp_path: Path) -> None:
    for name in ("no.keras", "no.h5", "no.weights.h5"):
        (tmp_path / name).write_bytes(b"garbage")
        config = backbone.settle(replace(SMALL, weights=str(tmp_path / name)))
        with pytest.raises(UsageError, match=rf"--weights .*{name} (is no Keras model|holds no weights of)") as caught:
            network.build(config, 2)
        assert "\n" not in str(caught.value)
    for kind in ("keras", "h5", "weights.h5"):
        config = backbone.settle(replace(SMALL, backbone="mobilenetv2", weights=f"{source[0]}/a.{kind}"))
        with pytest.raises(UsageError, match=r"(no weights of mobilenetv2|another network)") as caught:
            network.build(config, 2)
        assert "\n" not in str(caught.value)


def test_weights_changed_since_the_run_began_are_refused(source: tuple[Path, Any], tmp_path: Path) -> None:
    file = tmp_path / "a.keras"
    file.write_bytes((source[0] / "a.keras").read_bytes())
    config = backbone.settle(replace(SMALL, weights=str(file)))
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(UsageError, match="has the SHA-256"):
        network.build(config, 2)


def test_without_internet_imagenet_fails_at_once_and_the_message_suggests_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    if list(Path.home().glob(".keras/models/weights_mobilenet_v3_small*")):
        pytest.skip("Keras has these weights in its cache")
    with pytest.raises(ModelError, match=r"can't be downloaded .*; pass a local file instead: --weights FILE"):
        network.build(replace(SMALL, weights="imagenet"), 2)


def test_only_the_last_layers_are_tuned_and_batch_normalisation_never(source: tuple[Path, Any], tmp_path: Path) -> None:
    import keras

    config = backbone.settle(replace(SMALL, weights=str(source[0] / "a.keras"))).for_images(20)
    model, progress = network.build(config, 2), Progress()
    before = [weight.numpy() for weight in pretrained.weights(model)]
    head, tuning = phases.plan(config)
    phases._prepare(head, model, config, 1)
    phases._begin(head, model, progress)
    assert len(model.trainable_variables) == 2
    phases._prepare(tuning, model, config, 1)
    phases._begin(tuning, model, progress)
    model.fit(pixels(), np.eye(2)[[0, 1, 0]], epochs=2, verbose=0)
    built = pretrained.backbone_of(model)
    moved = [
        layer.name
        for layer, old in zip(_weighted(model), _grouped(before, model), strict=True)
        if any((weight.numpy() != value).any() for weight, value in zip(layer.weights, old, strict=True))
    ]
    assert moved[:3] == [layer.name for layer in _weighted(built) if "bn" not in layer.name][-3:]
    assert len(moved) == 4  # and the head
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert len(again.trainable_variables) == len(model.trainable_variables)
    assert phases.report(progress)[1]["trainable_parameters"] < model.count_params()


def _weighted(model: Any) -> list[Any]:
    return [layer for layer in pretrained.leaves(model) if layer.weights]


def _grouped(values: list[np.ndarray], model: Any) -> Iterator[list[np.ndarray]]:
    rest = iter(values)
    for layer in _weighted(model):
        yield [next(rest) for _ in layer.weights]


def test_efficientnet_is_exported_although_its_scaling_has_no_onnx_form(tmp_path: Path) -> None:
    import keras

    built = pretrained.backbone_of(network.build(replace(SMALL, backbone="efficientnetb0"), 2))
    # Its first layers tell, and are exported in a tenth of the time.
    stem = keras.Model(built.input, built.get_layer("stem_conv").output)
    image = keras.Input((32, 32, 3), dtype="uint8")
    pooled = keras.layers.GlobalAveragePooling2D()(stem(pretrained._scaled("efficientnetb0", image)))
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(pooled))
    expected = model.predict(pixels(), verbose=0)
    onnx_model.to_onnx(model, tmp_path / "model.onnx")
    onnx_model.check_equal(expected, onnx_model.OnnxModel(tmp_path / "model.onnx")(pixels()))
    whole = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(32, 32, 3))
    mean, variance, _ = whole.get_layer(index=2).weights
    mean.assign(pretrained._MEAN)
    variance.assign(np.square(pretrained._DEVIATION))
    whole.get_layer(index=2).finalize_state()
    for ours, theirs in zip(pretrained.weights(whole), pretrained.weights(built), strict=True):
        ours.assign(theirs)
    image = keras.Input((32, 32, 3), dtype="uint8")
    ours = keras.Model(image, built(pretrained._scaled("efficientnetb0", image)))
    np.testing.assert_allclose(
        ours.predict(pixels(), verbose=0), whole.predict(pixels(), verbose=0), rtol=1e-3, atol=1e-9
    )


def test_every_network_but_efficientnet_lite_is_one_of_keras_applications() -> None:
    import keras

    for name, application in backbone.APPLICATIONS.items():
        ours = name in efficientnet_lite.VARIANTS
        assert application.constructor == "" if ours else hasattr(keras.applications, application.constructor), name
