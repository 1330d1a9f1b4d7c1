"""The same command under Keras' other backends: trained, exported with equal output, published, resumed."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.training.conftest import SMALL, Sandbox
from tests.integration.training.test_training_interrupted import epochs_of, wait_for, weights_of
from training.forms.onnx_model import TOLERANCE


@pytest.fixture
def torch(sandbox: Sandbox) -> Sandbox:
    """A sandbox for PyTorch; skip the test if its environment isn't installed."""
    made = subprocess.run(["scripts/torch", "which"], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip("PyTorch's environment (5 GB) isn't made; `make backends` makes it and runs this")
    path = os.pathsep.join([os.getcwd(), sysconfig.get_path("purelib")])
    variables = {"KERAS_BACKEND": "torch", "PYTHONPATH": path}
    return replace(sandbox, python=made.stdout.strip(), variables=variables)


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_a_run_is_published_and_repeats_exactly_through_a_kill_and_a_resume(
    name: str, request: pytest.FixtureRequest, data: Path, tmp_path: Path
) -> None:
    sandbox: Sandbox = request.getfixturevalue(name)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    learning = ("--patience", 3, "--optimizer", "muon", "--data-pruning", 0.5)
    options = ("--data", data, "--epochs", 6, "--block", "pooled", *learning, "--no-int8", *SMALL)
    done = sandbox.run(*options, "--out", whole, "--name", f"by-{name}", "--tensorboard")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in sorted((whole / "tensorboard").iterdir())] == ["train", "validation"]
    (entry,) = sandbox.stored(f"by-{name}")
    assert {"model.keras", "model.onnx", "golden"} <= {file.name for file in entry.iterdir()}
    expected = metrics(whole)
    assert expected["environment"]["backend"] == name
    assert expected["model"]["onnx_max_difference"] <= TOLERANCE

    process = sandbox.start(*options, "--out", killed, "--no-publish")
    try:
        wait_for(lambda: epochs_of(killed) >= 2, process)
    finally:
        process.kill()
        process.communicate()
    assert not (killed / "metrics.json").exists()
    # The run knows its backend.
    done = replace(sandbox, variables={**sandbox.variables, "KERAS_BACKEND": ""}).run("--resume", killed)
    assert done.returncode == 0, done.stderr
    resumed = metrics(killed)
    assert resumed["environment"]["backend"] == name
    assert resumed["train"]["history"] == expected["train"]["history"]
    assert resumed["test"] == expected["test"]
    assert weights_of(killed) == weights_of(whole)
    other = replace(sandbox, variables={**sandbox.variables, "KERAS_BACKEND": "tensorflow"}).run("--resume", killed)
    assert other.returncode == 2
    assert f"the run began with KERAS_BACKEND={name}, not tensorflow" in other.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pytorch", "error: KERAS_BACKEND is 'pytorch'; choose one of tensorflow, jax, torch"),
        ("torch", "error: KERAS_BACKEND=torch needs the package torch, which isn't installed: pip install torch"),
    ],
)
def test_a_missing_backend_is_refused_in_one_line(sandbox: Sandbox, data: Path, name: str, said: str) -> None:
    done = replace(sandbox, variables={"KERAS_BACKEND": name}).run("--data", data, "--out", sandbox.root / "none")
    assert (done.returncode, done.stderr.splitlines()) == (2, [said])
    assert not (sandbox.root / "none").exists()


def metrics(out: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return document
