"""Calibration in a complete run: in all served forms and in the report, but not in the checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.folders import COLOURS, write_tree
from tests.integration.training.conftest import SMALL, Sandbox
from training.environment import import_keras
from training.loop.checkpoint import Checkpoint


@pytest.fixture(scope="module")
def mislabelled(sandbox: Sandbox) -> Path:
    """A folder in which some images have a wrong label, so that no network can be right on all."""
    root = write_tree(sandbox.root / "mislabelled", dict.fromkeys(COLOURS, 80), seed=7)
    names = list(COLOURS)
    for i, name in enumerate(names):
        for file in sorted((root / name).iterdir())[:6]:
            file.rename(root / names[(i + 1) % 3] / f"wrong-{name}-{file.name}")
    return root


@pytest.fixture(scope="module")
def calibrated(sandbox: Sandbox, mislabelled: Path) -> tuple[Path, dict[str, Any]]:
    out = sandbox.root / "calibrated"
    # Three short epochs make a network that is right more often than it dares to say.
    options = ("--epochs", 3, "--learning-rate", 0.001, "--validation-fraction", 0.3, "--name", "calibrated")
    done = sandbox.run("--data", mislabelled, "--out", out, *options, *SMALL, "--dense", 8)
    assert done.returncode == 0, done.stderr
    assert "calibrated on 72 validation images" in done.stderr
    return out, json.loads((out / "metrics.json").read_text())


def test_a_run_tells_its_temperature_wherever_it_is_asked_for(
    calibrated: tuple[Path, dict[str, Any]], sandbox: Sandbox
) -> None:
    out, metrics = calibrated
    found = metrics["calibration"]
    assert found["reason"] is None
    assert found["after"] == {key: metrics["test"][key] for key in ("ece", "log_loss")}
    (entry,) = (path for path in (sandbox.root / "home" / "models" / "calibrated").iterdir() if path.is_dir())
    about = yaml.safe_load((entry / "model.yaml").read_text())["metadata"]
    assert about["temperature"] == found["temperature"] < 1
    assert (out / "reliability_before.png").exists()
    assert "Temperature scaling" in (out / "report.html").read_text()


def test_every_form_is_calibrated_and_the_checkpoint_is_not(calibrated: tuple[Path, dict[str, Any]]) -> None:
    out, metrics = calibrated
    keras = import_keras()
    stored = keras.saving.load_model(out / "model" / "model.keras", compile=False)
    checkpoint = Checkpoint(out)
    progress = checkpoint.load()
    assert progress is not None
    trained = checkpoint.load_model(progress)
    checkpoint.restore_best(trained, progress)
    for now, before in zip(stored.layers[-1].get_weights(), trained.layers[-1].get_weights(), strict=True):
        assert now * metrics["calibration"]["temperature"] == pytest.approx(before, rel=1e-5)
    # Keras' answers were compared with the ONNX form's after calibration, and these are from the ONNX form.
    assert metrics["model"]["onnx_max_difference"] <= 1e-4
    golden = json.loads((out / "model" / "golden" / "golden.json").read_text())
    assert np.mean([image["confidence"] for image in golden]) < 1


def test_a_run_that_was_killed_while_it_exported_is_calibrated_just_once(
    calibrated: tuple[Path, dict[str, Any]], sandbox: Sandbox, tmp_path: Path
) -> None:
    out, metrics = calibrated
    again = tmp_path / "again"
    shutil.copytree(out, again)
    (again / "metrics.json").unlink()
    shutil.rmtree(again / "model" / "golden")
    done = sandbox.run("--resume", again)
    assert done.returncode == 0, done.stderr
    resumed = json.loads((again / "metrics.json").read_text())
    assert resumed["calibration"] == metrics["calibration"]
    assert resumed["test"] == metrics["test"]


def test_a_part_too_small_to_calibrate_on_is_named(run: tuple[Path, dict[str, Any], Any]) -> None:
    found = run[1]["calibration"]
    assert found["temperature"] == 1
    assert "validation images are too few" in found["reason"]
    assert found["before"] == pytest.approx(found["after"])


def test_a_run_that_holds_nothing_out_is_not_calibrated(sandbox: Sandbox, mislabelled: Path) -> None:
    out = sandbox.root / "refitted"
    done = sandbox.run(
        "--data", mislabelled, "--out", out, "--refit", "--epochs", 1, "--no-publish", "--no-int8", *SMALL
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((out / "metrics.json").read_text())["calibration"]
    assert found["temperature"] == 1
    assert "no image was held out" in found["reason"]
    assert "no image was held out" in (out / "report.html").read_text()
