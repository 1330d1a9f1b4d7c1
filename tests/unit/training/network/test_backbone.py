"""The options of a backbone, before any network is built."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from training.config import Config
from training.errors import ModelError, TrainingError, UsageError
from training.loop.phases import Phase, plan
from training.network.backbone import settle


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"backbone": "resnet5"},
            "did you mean resnet50\\? It takes .*, resnet50, .*, or a stored model as NAME:VERSION",
        ),
        ({"backbone": "ResNet-50"}, "did you mean resnet50\\?"),
        ({"backbone": "efficientnetlite0"}, "did you mean efficientnet-lite0\\?"),
        ({"backbone": ""}, "--backbone is ''"),
        ({"backbone": "resnet50", "image_size": 31}, "--image-size is 31; resnet50 needs at least 32"),
        ({"backbone": "xception", "image_size": 70}, "--image-size is 70; xception needs at least 71"),
        ({"backbone": "vgg16", "weights": "none.h5"}, "--weights none.h5: No such file"),
        ({"backbone": "vgg16", "weights": "."}, "it takes imagenet, none, or a file"),
        ({"backbone": "vgg16", "weights": "folder.h5"}, "--weights folder.h5: Is a directory"),
        ({"backbone": "vgg16", "weights": "Imagenet"}, "it takes imagenet, none, or a file"),
        ({"backbone": "vgg16", "weights": "some.h5", "weights_sha256": "ab"}, "some.h5 has the SHA-256 .*, not ab"),
        ({"backbone": "vgg16", "weights_sha256": "ab"}, "needs --weights FILE"),
        ({"backbone": "none", "weights": "imagenet"}, "--weights needs --backbone"),
        ({"backbone": "image_classifier:nowhere"}, "no model image_classifier:nowhere in the store"),
        ({"backbone": "a:b:c"}, "no model a:b:c in the store"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.h5").write_bytes(b"weights")
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(TrainingError, match=message) as caught:
        settle(Config(data="x", **options))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ModelError if "store" in message and "NAME" not in message else UsageError)


def test_the_backbone_determines_the_image_size_and_the_weights() -> None:
    assert Config(data="x", backbone="none").image_size == 32
    config = settle(Config(data="x", backbone="EfficientNetB3"))
    assert (config.backbone, config.image_size, config.weights) == ("efficientnetb3", 300, "imagenet")
    assert settle(Config(data="x", backbone="xception")).image_size == 299
    assert settle(Config(data="x", backbone="vgg16", image_size=64)).image_size == 64


def test_a_file_of_weights_is_identified_by_its_digest_and_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("some.weights.h5").write_bytes(b"weights")
    config = settle(Config(data="x", backbone="vgg16", weights="some.weights.h5"))
    assert config.weights_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert config.relocatable().weights == str(tmp_path / "some.weights.h5")
    assert settle(Config(data="x", backbone="vgg16", weights="none")).relocatable().weights == "none"


def test_the_head_is_trained_first_and_a_network_without_weights_as_a_whole() -> None:
    config = Config(data="x", backbone="vgg16", epochs=30, fine_tune_layers=4).for_images(100)
    head, tuning = plan(config)
    assert head == Phase("head", 1, 0.0, 0)
    assert tuning == Phase("fine-tuning", 30, 3e-4, 4)
    whole = [Phase("all layers", 30, 0.002, None)]
    assert plan(Config(data="x", backbone="vgg16", weights="none", epochs=30).for_images(100)) == whole
    assert plan(Config(data="x", backbone="none", epochs=30).for_images(100)) == whole


def test_fine_tuning_can_be_left_out() -> None:
    only = Config(data="x", backbone="vgg16", epochs=9, fine_tune_layers=0).for_images(100)
    assert [(phase.name, phase.epochs) for phase in plan(only)] == [("head", 1)]


def test_a_pretrained_network_needs_fewer_epochs_than_one_from_scratch() -> None:
    for images, pretrained, scratch in ((100, 20, 60), (900, 9, 20), (100_000, 8, 20)):
        assert Config(data="x", backbone="vgg16").for_images(images).epochs == pretrained
        assert Config(data="x", backbone="none").for_images(images).epochs == scratch
