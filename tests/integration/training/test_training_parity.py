"""Training and serving give the same answers: exported forms, served probabilities, pixels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.integration.conftest import Store, serving
from tests.integration.training.conftest import Run, Sandbox
from training.data.decoded import DecodedImages


def test_the_exported_forms_give_the_answers_of_keras(run: Run) -> None:
    import onnxruntime

    out, metrics, _ = run
    assert metrics["model"]["onnx_max_difference"] <= 1e-4
    session = onnxruntime.InferenceSession(out / "model" / "model.onnx")
    assert (session.get_inputs()[0].name, session.get_inputs()[0].shape) == ("image", ["batch", 16, 16, 3])
    assert (session.get_outputs()[0].name, session.get_outputs()[0].shape) == ("probabilities", ["batch", 3])
    int8 = metrics["model"]["int8"]
    assert int8["kept"] == (out / "model" / "model-int8.onnx").exists()
    assert not int8["kept"] or int8["accuracy_fp32"] - int8["accuracy"] <= 0.005 + 1e-9


def test_a_network_with_whitening_gives_equal_answers_to_grey_images_in_all_forms(sandbox: Sandbox) -> None:
    """Grey images have no colour apart from rounding, which differs between runtimes."""
    out = sandbox.root / "grey"
    recipe = ("--recipe", "accurate", "--batch-size", 64, "--width", 16, "--epochs", 2)
    done = sandbox.run("--data", "digits", "--out", out, "--no-publish", *recipe)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "metrics.json").read_text())["model"]["onnx_max_difference"] <= 1e-5


@pytest.mark.parametrize(("runtime", "tolerance"), [("onnx", 1e-4), ("keras", 1e-4), ("onnx-int8", 0.05)])
def test_the_served_probabilities_are_those_of_training(
    run: Run, sandbox: Sandbox, data: Path, runtime: str, tolerance: float
) -> None:
    """Compare the same files through training's cache and Keras model, and through the served API."""
    if runtime == "onnx-int8" and not run[1]["model"]["int8"]["kept"]:
        pytest.skip("this machine's int8 form lost too much accuracy to be stored")
    files = [data / name for name in ("red/000.png", "red/001.jpg", "green/002.webp", "blue/003.gif", "blue/005.tiff")]
    expected = keras_probabilities(run[0] / "model" / "model.keras", files)
    store = Store(sandbox.root / "home")
    with serving(store, ".", RUNTIME=runtime) as server:
        for file, row in zip(files, expected, strict=True):
            top = server.predict(file.read_bytes(), "/predict?top_k=3").json()["top_k"]
            served = {entry["class"]: entry["score"] for entry in top}
            assert [served[name] for name in ("blue", "green", "red")] == pytest.approx(row, abs=tolerance)
            assert server.predict(file.read_bytes()).headers["x-model-version"] == run[1]["model"]["tag"]


def keras_probabilities(model: Path, files: list[Path]) -> list[list[float]]:
    """Run in a process of its own, because TensorFlow can't be unloaded."""
    script = (
        "import json, sys, numpy as np, imaging\n"
        "from training.environment import import_keras\n"
        "model = import_keras().saving.load_model(sys.argv[1])\n"
        "images = np.stack([imaging.decode(file, 16) for file in sys.argv[2:]])\n"
        "print(json.dumps(model.predict(images, verbose=0).tolist()))\n"
    )
    command = [sys.executable, "-c", script, str(model), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows: list[list[float]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def test_the_decoded_cache_of_a_run_opens_unchanged(run: Run, sandbox: Sandbox) -> None:
    entries = [entry for entry in (sandbox.root / "cache" / "image-classifier").iterdir() if len(entry.name) == 32]
    assert any(len(DecodedImages.open(entry, 16)[np.arange(3)]) == 3 for entry in entries if fits(entry))


def fits(entry: Path) -> bool:
    try:
        DecodedImages.open(entry, 16)
    except OSError:
        return False
    return True
