"""The optimiser Muon: its steps for kernels of convolutions, and for all other weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training import environment
from training.config import Config
from training.loop.compile import compile_model
from training.network import network

keras: Any = environment.import_keras()
from training.loop.muon import ConvolutionMuon  # noqa: E402  (of Keras)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras' own, of NumPy


def small() -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False)(image)
    x = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dense(2)(keras.layers.GlobalMaxPooling2D()(x))
    return keras.Model(image, x)


def images(count: int = 32) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(count, 8, 8, 3)).astype(np.float32), rng.integers(0, 2, (count, 2)).astype(np.float32)


def turned(model: Any, scale: float, steps: int = 1) -> np.ndarray:
    """Return the change of the kernel after `steps` steps with a loss times `scale`, as a matrix (27, 4)."""
    model.compile(ConvolutionMuon(0.1), lambda wanted, found: scale * keras.ops.square(wanted - found))
    for _ in range(steps):
        kernel = model.layers[1].get_weights()[0]
        model.train_on_batch(*images())
    # Each step first scales the kernel to the square root of the number of its filters.
    moved: np.ndarray = model.layers[1].get_weights()[0] - kernel * 2 / np.linalg.norm(kernel)
    return moved.reshape(-1, 4)


def test_the_rate_alone_determines_how_far_a_kernel_turns() -> None:
    first = turned(small(), 1)
    assert turned(small(), 1000) == pytest.approx(first, abs=1e-4)
    lengths = np.linalg.svd(first, compute_uv=False) / 0.1
    assert 0.6 < lengths.min() <= lengths.max() < 1.3, "as far in all directions"


def test_momentum_is_kept() -> None:
    assert np.abs(turned(small(), 1, steps=2) - turned(small(), 1)).max() > 1e-3


def test_a_zero_gradient_moves_nothing() -> None:
    model = small()
    before = model.layers[1].get_weights()[0]
    after = turned(model, 0)
    assert after == pytest.approx(0, abs=1e-6)
    assert model.layers[1].get_weights()[0] == pytest.approx(before * 2 / np.linalg.norm(before), rel=1e-5)


def test_all_weights_but_kernels_take_steps_of_adam() -> None:
    model, before = small(), small().get_weights()
    model.compile(ConvolutionMuon(0.1), "mse")
    model.train_on_batch(*images())
    checked = 0
    for weight, old in zip(model.weights, before, strict=True):
        # The length of Adam's first step is its rate.
        name, step = weight.path.split("/")[-1], np.abs(keras.ops.convert_to_numpy(weight) - old)
        if name in ("beta", "gamma", "bias") or len(weight.shape) == 2:
            assert step == pytest.approx(0.01 if name == "beta" else 0.002, rel=0.01)
            checked += 1
    assert checked == 4


def test_an_optimiser_loaded_from_a_file_continues_exactly(tmp_path: Path) -> None:
    model = small()
    model.compile(ConvolutionMuon(0.05, momentum=0.7), "mse")
    model.train_on_batch(*images())
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.optimizer.momentum == 0.7
    for one in (model, copy):
        one.train_on_batch(*images())
    assert all((a == b).all() for a, b in zip(model.get_weights(), copy.get_weights(), strict=True))


def test_a_pooled_network_learns_with_it() -> None:
    config = Config(data="x", block="pooled", width=8, depth=1, image_size=16, dense=0, dropout=0.0, optimizer="muon")
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 256)
    pictures = rng.integers(0, 200, (256, 16, 16, 3), dtype=np.uint8)
    pictures[labels == 1, 4:10, 4:10] += 50
    keras.utils.set_random_seed(0)
    model = network.build(config, 2)
    compile_model(model, config.for_images(256), 8)
    model.fit(pictures, np.eye(2)[labels], batch_size=32, epochs=12, verbose=0)
    assert model.evaluate(pictures, np.eye(2)[labels], verbose=0)[1] > 0.9
