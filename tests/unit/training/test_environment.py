from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import sys
from training.environment import import_keras
from training.errors import UsageError
try:
    keras = import_keras()
except UsageError as error:
    sys.exit(str(error))
layer = keras.layers.Conv2D(2, 3)
layer.build((None, 8, 8, 3))
print(keras.backend.backend(), layer.dtype, layer.data_format, keras.config.epsilon(), layer.kernel.shape)
"""


def start(home: Path, settings: Any, **variables: str) -> subprocess.CompletedProcess[str]:
    (home / ".keras").mkdir()
    (home / ".keras" / "keras.json").write_text(json.dumps(settings))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment | {"HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_settings_of_a_training_hold_whatever_the_file_of_keras_says(tmp_path: Path) -> None:
    """Kind: what another program configured for Keras never changes a network or ends in a traceback."""
    hostile = {
        "backend": "theano",
        "floatx": "float16",
        "image_data_format": "channels_first",
        "epsilon": 0.1,
        "nnx_enabled": True,
    }
    done = start(tmp_path, hostile)
    assert done.stdout == "tensorflow float32 channels_last 1e-07 (3, 3, 3, 2)\n", done.stderr


@pytest.mark.parametrize("settings", [{"floatx": "int4"}, [1]])
def test_a_file_that_keras_refuses_is_named_in_one_line(tmp_path: Path, settings: Any) -> None:
    done = start(tmp_path, settings)
    assert done.returncode == 1
    assert done.stderr.startswith("Keras can't use its keras.json (")
    assert done.stderr.count("\n") == 1
