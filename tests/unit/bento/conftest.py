"""A warm model in this process, for tests without a server."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from bento.inference.warmup import WarmModel, warm_up
from bento.models.model import ServedModel
from bento.settings import read_settings
from model_format.layout import FILES
from tests.application_host import TAG
from tests.stored import CLASSES, SIZE, write_entry


@pytest.fixture
def model(tmp_path: Path) -> Iterator[WarmModel]:
    path = write_entry(tmp_path / "entry") / FILES["onnx"]
    thresholds = gc.get_threshold()
    yield warm_up(ServedModel(TAG, "onnx", path, CLASSES, SIZE), read_settings())
    # The application tunes the garbage collector of its process.
    gc.unfreeze()
    gc.set_threshold(*thresholds)
