"""Several networks at once: each trained as alone, answering together, in every form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imaging.gradcam import GradCam
from training import environment
from training.config import Config
from training.errors import UsageError
from training.loop.compile import compile_model
from training.network import network
from training.network.served import for_serving

keras: Any = environment.import_keras()
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras' own, of NumPy

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
LABELS = np.eye(4, dtype=np.float32)[np.arange(8) % 4]
ANSWERS = RNG.dirichlet(np.ones(4), (8, 3)).astype(np.float32)
"""Of three networks to eight images."""


def config(**settings: Any) -> Config:
    given: dict[str, Any] = {"data": "photos", "width": 8, "depth": 2, "image_size": 16, "dense": 0, "ensemble": 3}
    return Config(**given | settings).for_images(100)


def together(answers: np.ndarray) -> np.ndarray:
    joint = np.exp(np.log(answers).mean(axis=1))
    normalised: np.ndarray = joint / joint.sum(axis=1, keepdims=True)
    return normalised


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_mean_of_the_networks_losses_and_teaches_each_by_its_own(smoothing: float) -> None:
    import tensorflow as tf

    from training.loop.ensemble import MeanCrossentropy

    alone = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
    several = tf.constant(ANSWERS)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(several)
        found = MeanCrossentropy(smoothing)(LABELS, several)
        each = [alone(LABELS, several[:, i]) for i in range(3)]
        total = tf.add_n(each)
    assert float(found) == pytest.approx(float(np.mean(each)), rel=1e-5)
    assert tape.gradient(found, several).numpy() == pytest.approx(tape.gradient(total, several).numpy(), rel=1e-5)


def test_the_accuracy_is_that_of_the_joint_answer() -> None:
    from training.loop.ensemble import JointAccuracy

    right = (together(ANSWERS).argmax(axis=1) == LABELS.argmax(axis=1)).mean()
    each = [(ANSWERS[:, i].argmax(axis=1) == LABELS.argmax(axis=1)).mean() for i in range(3)]
    metric = JointAccuracy("accuracy")
    metric.update_state(LABELS, keras.ops.convert_to_tensor(ANSWERS))
    assert float(metric.result()) == pytest.approx(right)
    assert right not in each


@pytest.mark.parametrize(
    ("settings", "map_width"),
    [({}, 4), ({"dense": 6}, 4), ({"block": "pooled", "whitening": True, "width": 32}, 3)],
    ids=["plain", "with a dense layer", "pooled"],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_what_is_served_answers_from_the_mean_of_all_scores(
    settings: dict[str, Any], map_width: int, mirrored: bool, tmp_path: Path
) -> None:
    from training.export import onnx_model

    trained = network.build(config(**settings), 4)
    compile_model(trained, config(**settings), 10)
    trained.fit(IMAGES, LABELS, epochs=2, verbose=0)
    each = trained.predict(IMAGES, verbose=0)
    assert each.shape == (8, 3, 4)
    assert not np.allclose(each[:, 0], each[:, 1], atol=1e-6)  # from different starts
    served = for_serving(trained, mirrored)
    answer = served.predict(IMAGES, verbose=0)
    if mirrored:
        assert answer == pytest.approx(served.predict(IMAGES[:, :, ::-1].copy(), verbose=0), abs=1e-6)
    else:
        assert answer == pytest.approx(together(each), abs=1e-6)
    served.save(tmp_path / "model.keras")
    assert np.array_equal(answer, keras.saving.load_model(tmp_path / "model.keras").predict(IMAGES, verbose=0))
    onnx_model.to_onnx(served, tmp_path / "model.onnx")
    assert answer == pytest.approx(onnx_model.OnnxModel(tmp_path / "model.onnx")(IMAGES), abs=1e-5)
    assert GradCam(keras, served)(IMAGES[0], 1).shape == (map_width, map_width)


@pytest.mark.parametrize("ensemble", [1, 3])
def test_a_network_of_another_process_can_be_served(ensemble: int, tmp_path: Path) -> None:
    settings = config(ensemble=ensemble, block="pooled", whitening=True)
    trained = network.build(settings, 4)
    expected = for_serving(trained, mirrored=True, moved=True).predict(IMAGES, verbose=0)
    trained.save(tmp_path / "last.keras")
    keras.utils.clear_session()  # names are given anew, as there
    loaded = keras.saving.load_model(tmp_path / "last.keras")
    served = for_serving(loaded, mirrored=True, moved=True)
    assert served.predict(IMAGES, verbose=0) == pytest.approx(expected, abs=1e-6)


def test_a_backbone_is_one_network() -> None:
    with pytest.raises(UsageError, match="--ensemble is for networks that start from nothing, not for --backbone"):
        Config(backbone="resnet50", ensemble=2)
