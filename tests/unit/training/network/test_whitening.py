"""The whitening convolution: its features, and the steps that must not change it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training import environment
from training.config import Config
from training.loop import phases
from training.loop.compile import compile_model
from training.network import network, whitening

keras: Any = environment.import_keras()
CONFIG = Config(whitening=True, width=4, depth=1, image_size=16, dense=0)


def smooth_images(count: int = 40, size: int = 16) -> np.ndarray:
    """Return images with similar neighbouring pixels, as in photos."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 200, (count, size // 4, size // 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    smoothed = (coarse + np.roll(coarse, 1, axis=1) + np.roll(coarse, 1, axis=2)) // 3
    return (smoothed + rng.integers(0, 20, smoothed.shape)).astype(np.uint8)


def test_features_are_uncorrelated_and_of_equal_variance() -> None:
    images = smooth_images()
    layer = whitening.layer("float32")
    layer.build((None, 16, 16, 3))
    pixels = images.astype(np.float32) / 255
    layer.set_weights(whitening.weights(pixels, floor=5e-4))
    features = np.asarray(layer(pixels))
    half = features.shape[-1] // 2
    assert np.allclose(features.mean(axis=(0, 1, 2)), 0, atol=0.2)
    covariance = np.cov(features[..., :half].reshape(-1, half), rowvar=False)
    assert np.allclose(covariance, np.diag(np.diag(covariance)), atol=0.01)
    assert np.diag(covariance) == pytest.approx(1, abs=0.25)  # the floor reduces the smallest
    raw = np.cov((images / 255)[:, :-1, :-1].reshape(-1, 3), rowvar=False)
    assert np.diag(raw).max() < 0.1


@pytest.mark.parametrize("images", [np.zeros((3, 8, 8, 3), np.uint8), smooth_images(1, 4)], ids=["black", "one"])
def test_any_image_gives_a_finite_kernel(images: np.ndarray) -> None:
    assert np.isfinite(whitening.kernel(images / 255)).all()


def test_grey_images_give_no_feature_made_of_rounding() -> None:
    grey = smooth_images()[..., :1].repeat(3, axis=3)
    faint = grey.copy()
    faint[0, 0, 0, 0] += 1  # one colour value of one pixel
    for images in (grey, faint):
        pixels = images.astype(np.float32) / 255
        layer = whitening.layer("float32")
        layer.build((None, 16, 16, 3))
        layer.set_weights(whitening.weights(pixels))
        features = np.asarray(layer(pixels))
        assert features.std(axis=(0, 1, 2)).min() > 0.1
        assert (
            len(np.unique(layer.get_weights()[0].sum(axis=(0, 1, 2)).round(4))) == 8
        )  # 4 of grey, each with both signs


def test_training_does_not_change_the_whitening() -> None:
    model, images = network.build(CONFIG, 2), smooth_images()
    whitening.fit(model, images)
    compile_model(model, CONFIG.for_images(len(images)), steps_per_epoch=2)
    before, rest = model.get_layer(whitening.NAME).get_weights()[0], model.get_layer("probabilities").get_weights()[0]
    model.fit(images, np.eye(2)[np.arange(len(images)) % 2], batch_size=20, verbose=0)
    assert (model.get_layer(whitening.NAME).get_weights()[0] == before).all()
    assert np.allclose(before, whitening.kernel(images / 255), rtol=1e-3)
    assert (model.get_layer("probabilities").get_weights()[0] != rest).any()


def test_a_network_without_whitening_is_not_changed() -> None:
    model = network.build(Config(width=4, depth=1, image_size=16), 2)
    before = model.get_weights()
    whitening.fit(model, smooth_images())
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_the_whitening_is_not_fine_tuned() -> None:
    backbone = network.build(CONFIG, 2)
    phases._freeze(backbone, 100)
    tuned = {layer.name for layer in backbone.layers if layer.trainable and layer.weights}
    assert whitening.NAME not in tuned
    assert "probabilities" in tuned


def test_the_whitening_is_found_within_a_backbone() -> None:
    backbone, images = network.build(CONFIG, 2), smooth_images()
    image = keras.Input((16, 16, 3), dtype="uint8")
    whitening.fit(keras.Model(image, backbone(image)), images)
    assert np.allclose(backbone.get_layer(whitening.NAME).get_weights()[0], whitening.kernel(images / 255), rtol=1e-3)
