"""Grad-CAM compared with TensorFlow's own gradients, and the pictures drawn from it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imaging import heatmap
from imaging.gradcam import GradCam, NotExplainable
from training.environment import import_keras
from training.report.explaining import chosen

SIZE, CLASSES = 16, 3


@pytest.fixture(scope="module")
def keras() -> Any:
    module = import_keras()
    module.utils.set_random_seed(4)
    return module


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


def network_of(dense: int, depth: int = 2) -> Any:
    from training.config import Config
    from training.network import network

    return network.build(Config(image_size=SIZE, depth=depth, width=4, dense=dense), CLASSES)


def by_tape(model: Any, layer: int, pixels: np.ndarray, label: int) -> np.ndarray:
    """Compute the paper's equations 1 and 2 with TensorFlow's own gradients."""
    import keras
    import tensorflow as tf

    head = model.layers[-1]
    both = keras.Model(model.input, [model.layers[layer].output, head.input])
    with tf.GradientTape() as tape:
        features, last = both(pixels[None])
        score = (last @ head.kernel + head.bias)[0, label]
    alpha = tape.gradient(score, features).numpy()[0].mean(axis=(0, 1))
    map_: np.ndarray = np.maximum(features.numpy()[0] @ alpha, 0)
    return map_ / map_.max() if map_.max() > 0 else map_


@pytest.mark.parametrize("dense", [0, 16])
def test_the_map_equals_the_papers_equations(keras: Any, pixels: np.ndarray, dense: int) -> None:
    model = network_of(dense)
    # The activation before the last pooling is the finest map from which the classes are computed.
    at = max(i for i, layer in enumerate(model.layers) if isinstance(layer, keras.layers.Activation))
    cam = GradCam(keras, model)
    maps = [cam(pixels, label) for label in range(CLASSES)]
    assert maps[0].shape == (8, 8)
    for label, found in enumerate(maps):
        assert found == pytest.approx(by_tape(model, at, pixels, label), abs=1e-4)
    # Other classes in between don't change the map of a class.
    assert np.array_equal(cam(pixels, 0), maps[0])
    assert max(found.max() for found in maps) == 1


def test_the_model_is_not_changed(keras: Any, pixels: np.ndarray) -> None:
    model = network_of(16)
    weights = [weight.copy() for weight in model.get_weights()]
    before = model(pixels[None], training=False).numpy()
    GradCam(keras, model)(pixels, 1)
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
    assert np.array_equal(model(pixels[None], training=False).numpy(), before)
    assert len(model.trainable_weights) == len(network_of(16).trainable_weights)


def test_the_map_is_strongest_at_the_square_that_decides(keras: Any) -> None:
    """Build a network by hand that answers class 0 for bright images."""
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(1, 3, padding="same", kernel_initializer="ones", activation="relu")(x)
    x = layers.Flatten()(x)
    bright = keras.initializers.Constant([[1.0, -1.0]] * SIZE**2)
    model = keras.Model(image, layers.Dense(2, "softmax", kernel_initializer=bright)(x))
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[2:6, 9:13] = 255
    cam = GradCam(keras, model)
    found = cam(pixels, 0)
    assert found.shape == (SIZE, SIZE)
    assert found[2:6, 9:13].min() > 0.4
    assert found[8:, :8].max() == 0
    # Brightness always supports class 0, so nothing supports class 1.
    assert cam(pixels, 1).max() == 0


@pytest.mark.parametrize("head", ["pooled", "flat"])
def test_a_nested_network_is_explained(keras: Any, pixels: np.ndarray, head: str) -> None:
    layers = keras.layers
    inner_image = keras.Input((SIZE, SIZE, 3))
    inner = keras.Model(inner_image, layers.Conv2D(4, 3, strides=4, activation="relu")(inner_image))
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    x = inner(layers.Rescaling(1 / 255)(image), training=False)
    x = layers.GlobalAveragePooling2D()(x) if head == "pooled" else layers.Flatten()(layers.Dropout(0.5)(x))
    model = keras.Model(image, layers.Dense(CLASSES, "softmax")(x))
    maps = np.stack([GradCam(keras, model)(pixels, label) for label in range(CLASSES)])
    assert maps.shape == (CLASSES, 4, 4)
    assert maps.max() == 1


def test_a_network_with_added_branches_is_explained(keras: Any, pixels: np.ndarray) -> None:
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    x = layers.Conv2D(4, 3, strides=2)(layers.Rescaling(1 / 255)(image))
    x = layers.Add()([x, layers.Conv2D(4, 1)(x)])
    x = layers.Dropout(0.5)(layers.MaxPooling2D(2)(x))
    model = keras.Model(image, layers.Dense(CLASSES, "softmax")(layers.GlobalMaxPooling2D()(x)))
    assert GradCam(keras, model)(pixels, 0).shape == (7, 7)


def test_maps_of_a_single_position_are_skipped(keras: Any, pixels: np.ndarray) -> None:
    assert GradCam(keras, network_of(0, depth=6))(pixels, 0).shape == (2, 2)


def test_a_network_without_convolutions_is_refused(keras: Any) -> None:
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    flat = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Dense(CLASSES, "softmax")(flat))
    with pytest.raises(NotExplainable, match="no convolutional feature map"):
        GradCam(keras, model)


def test_a_network_without_a_dense_layer_at_its_end_is_refused(keras: Any) -> None:
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(CLASSES, 3)(layers.Rescaling(1 / 255)(image)))
    with pytest.raises(NotExplainable, match="doesn't end in a dense layer"):
        GradCam(keras, keras.Model(image, layers.Softmax()(pooled)))


def test_the_surest_right_answers_are_of_several_classes_and_the_surest_mistakes_follow() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    probabilities = np.array(
        [[0.9, 0.1, 0], [0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0, 1, 0], [0.3, 0.3, 0.4], [0.7, 0.2, 0.1]]
    )
    assert chosen(labels, probabilities).tolist() == [3, 0, 4, 5, 2]
    nothing_right = np.roll(np.eye(3), 1, axis=1)[labels]
    assert sorted(labels[chosen(labels, nothing_right)]) == [0, 0, 1, 1]


def test_an_overlay_is_warm_at_high_weights_and_shows_the_image_elsewhere() -> None:
    pixels = np.full((20, 20, 3), 100, np.uint8)
    weights = np.zeros((4, 4), np.float32)
    weights[0, 0] = 1
    drawn = heatmap.overlay(pixels, weights)
    assert drawn.shape == (20, 20, 3)
    assert drawn[0, 0, 0] > 150
    assert (drawn[12:, 12:] == 100).all()
    with Image.open(io.BytesIO(heatmap.png(heatmap.overlay(pixels, weights, least=64)))) as image:
        assert (image.format, image.size, image.mode) == ("PNG", (64, 64), "RGB")


def test_an_enlarged_map_stays_between_0_and_1() -> None:
    rng = np.random.default_rng(6)
    for _ in range(5):
        large = heatmap.enlarged(rng.integers(0, 2, (3, 5)).astype(np.float32), 40)
        assert large.shape == (40, 40)
        assert large.min() >= 0
        assert large.max() <= 1
