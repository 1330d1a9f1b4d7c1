"""The network: its own layers equal those of Keras, and the served form equals the trained one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imaging.gradcam import GradCam
from training import environment
from training.config import Config
from training.loop.compile import compile_for_evaluation, compile_model
from training.network import network
from training.network.served import for_serving
from training.options import merge
from training.recipes import RECIPES

keras: Any = environment.import_keras()


def test_fused_normalisation_equals_that_of_keras() -> None:
    from training.network.normalization import FusedBatchNormalization

    rng = np.random.default_rng(0)
    ours, theirs = FusedBatchNormalization(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    for _ in range(3):
        images = rng.normal(3, 2, (4, 5, 5, 8)).astype(np.float32)
        assert np.allclose(ours(images, training=True), theirs(images, training=True), atol=1e-5)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert np.allclose(mine, other, rtol=1e-5)
    assert np.allclose(ours(images, training=False), theirs(images, training=False), atol=1e-5)


@pytest.mark.parametrize("shape", [(7, 7), (3, 5), (1, 1)])
def test_convolution_of_small_maps_equals_that_of_keras_with_its_gradients(shape: tuple[int, int]) -> None:
    import tensorflow as tf

    from training.network.convolution import SmallMapConvolution

    rng = np.random.default_rng(0)
    images = tf.constant(rng.normal(size=(4, *shape, 6)).astype(np.float32))
    weight = rng.normal(size=(4, *shape, 9)).astype(np.float32)
    settings = {"filters": 9, "kernel_size": 3, "padding": "same", "use_bias": False}
    ours, theirs = SmallMapConvolution(**settings), keras.layers.Conv2D(**settings)
    found = []
    for layer in (ours, theirs):
        layer.build(images.shape)
        layer.set_weights(ours.get_weights())
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images)
            loss = tf.reduce_sum(outputs * weight)
        found.append((outputs, *tape.gradient(loss, [images, layer.kernel.value])))
    for mine, other in zip(*found, strict=True):
        assert mine.shape == other.shape
        assert np.allclose(mine, other, atol=1e-4)


@pytest.mark.parametrize("amx", [True, False])
def test_small_maps_use_their_own_convolution_if_it_is_faster(amx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.network.convolution import SmallMapConvolution

    monkeypatch.setattr(network, "_features", lambda *_: {"amx_bf16"} if amx else {"avx512_bf16", "AuthenticAMD"})
    for precision, small in (("auto", amx), ("float32", False)):
        model = network.build(Config(backbone="none", precision=precision, width=8, depth=3, image_size=16), 3)
        widths = {layer.input.shape[1] for layer in model.layers if isinstance(layer, SmallMapConvolution)}
        assert widths == ({8, 4} if small else set())


@pytest.mark.parametrize(
    ("cpuinfo", "faster"),
    [
        ("vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16", True),
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16", False),
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16 amx_bf16", True),
        ("Features : asimd bf16", True),
        ("vendor_id : AuthenticAMD\nflags : avx512f", False),
    ],
)
def test_bfloat16_is_chosen_if_it_is_faster(cpuinfo: str, faster: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert network.bfloat16_is_faster(tmp_path / "cpuinfo") == faster
    assert not network.bfloat16_is_faster(tmp_path / "nothing")


@pytest.mark.parametrize("block", ["plain", "residual", "pooled"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_served_network_has_the_same_weights_in_layers_of_keras_alone(block: str, precision: str) -> None:
    config = Config(backbone="none", block=block, precision=precision, width=8, depth=2, image_size=16)
    trained = network.build(config, 3)
    served = for_serving(trained)
    assert {type(layer).__module__.split(".")[0] for layer in served.layers} == {"keras"}
    assert {layer.compute_dtype for layer in served.layers if layer.name != "image"} == {"float32"}
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    difference = np.abs(trained.predict(images, verbose=0) - served.predict(images, verbose=0)).max()
    assert difference <= (1e-6 if precision == "float32" else 0.02)
    assert [weight.shape for weight in trained.get_weights()] == [weight.shape for weight in served.get_weights()]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras' own, of NumPy
def test_a_network_of_another_process_can_be_served(tmp_path: Path) -> None:
    config = Config(
        backbone="none", data="photos", block="pooled", whitening=True, width=8, depth=2, image_size=16, dense=0
    )
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    trained = network.build(config, 4)
    expected = for_serving(trained, mirrored=True, moved=True).predict(images, verbose=0)
    trained.save(tmp_path / "last.keras")
    keras.utils.clear_session()  # Keras then numbers layers from 1 again, as a new process does.
    loaded = keras.saving.load_model(tmp_path / "last.keras")
    served = for_serving(loaded, mirrored=True, moved=True)
    assert served.predict(images, verbose=0) == pytest.approx(expected, abs=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorFlow's own
@pytest.mark.parametrize(("mirrored", "moved"), [(True, False), (False, True), (True, True)])
def test_a_model_of_several_views_classifies_all_of_them_in_every_form(
    mirrored: bool, moved: bool, tmp_path: Path
) -> None:
    from training.forms import onnx_model

    config = Config(backbone="none", data="photos", block="residual", width=8, depth=2, image_size=16, dense=0)
    trained = network.build(config, 3)
    served = for_serving(trained, mirrored, moved)
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    answer = served.predict(images, verbose=0)
    wide = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    views = [images, wide[:, 2:, 2:], wide[:, :-2, :-2]] if moved else [images]
    views += [view[:, :, ::-1] for view in views] if mirrored else []
    # With no dense layer between them, the mean of features is the mean of scores.
    scores = np.mean([np.log(trained.predict(np.ascontiguousarray(view), verbose=0)) for view in views], axis=0)
    assert answer == pytest.approx(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), abs=1e-5)

    served.save(tmp_path / "model.keras")
    assert np.array_equal(answer, keras.saving.load_model(tmp_path / "model.keras").predict(images, verbose=0))
    onnx_model.to_onnx(served, tmp_path / "model.onnx")
    assert answer == pytest.approx(onnx_model.OnnxModel(tmp_path / "model.onnx")(images), abs=1e-5)
    assert GradCam(keras, served)(images[0], 1).shape == (4, 4)


def test_a_model_classifies_mirror_images_only_if_training_showed_them() -> None:
    config = Config(backbone="none", data="photos", mirrored=True)
    assert config.answers_mirrored
    assert not replace(config, data="digits").answers_mirrored


def test_a_new_pooled_network_passes_on_its_input_and_prefers_no_class() -> None:
    config = Config(
        backbone="none", data="photos", block="pooled", whitening=True, width=32, depth=2, image_size=16, dense=0
    )
    model = network.build(config, 4)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][1:]
    assert [layer.filters for layer in convolutions] == [32, 32, 32, 128, 128, 128]
    for layer in convolutions:
        seen = np.random.default_rng(0).normal(size=(1, 5, 5, layer.kernel.shape[2])).astype(np.float32)
        assert np.allclose(layer(seen)[..., : seen.shape[-1]], seen, atol=1e-5)
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    assert model.predict(images, verbose=0) == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("name", RECIPES)
def test_a_stored_model_loads_without_this_package(name: str) -> None:
    config = merge({"recipe": name, "backbone": "none", "data": "photos", "width": 4}, None).for_images(100)
    served = for_serving(network.build(config, 2), config.answers_mirrored)
    compile_for_evaluation(served, config)
    assert "image_classifier>" not in json.dumps(served.get_compile_config())
    compile_model(served, config, 1)
    assert "image_classifier>" in json.dumps(served.get_compile_config())


def test_one_cycle_rises_and_falls_linearly() -> None:
    from training.loop.schedules import OneCycle

    schedule = OneCycle(0.4, steps=100, warmup_steps=20)
    rates = [float(schedule(step)) for step in range(100)]
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == rates[19] == rates[20] == pytest.approx(0.4)
    assert rates[60] == pytest.approx(0.2)
    assert 0 < rates[99] < 0.006
    assert [float(OneCycle(0.4, 10, 0)(step)) for step in (0, 5)] == pytest.approx([0.4, 0.2])
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert float(copy(60)) == rates[60]


@pytest.mark.parametrize("name", RECIPES)
def test_flags_and_files_override_a_recipe(name: str) -> None:
    config = merge({"recipe": name, "epochs": 3}, None)
    assert config.epochs == 3
    assert (config.block, config.width) == (RECIPES[name]["block"], RECIPES[name]["width"])
    assert merge({}, None).block == "plain"
