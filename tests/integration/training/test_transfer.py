"""Transfer from eight digits to the other two: a stored model as backbone, killed twice, and served."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.integration.conftest import Server, Store, serving
from tests.integration.training.conftest import Sandbox
from tests.integration.training.test_training_interrupted import epochs_of, wait_for, weights_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorFlow's own

OTHERS = (3, 8)
FEW = 10
PHASES = [
    *("--epochs", 12, "--patience", 12, "--fine-tune-rate", 0.002),
    *("--fine-tune-layers", 2, "--preset", "none"),
]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return Sandbox(tmp_path_factory.mktemp("transfer"))


@pytest.fixture(scope="module")
def digits(box: Sandbox) -> Path:
    """Folders `eight`, of eight digits, and of the others `few` images to learn from and the rest as `test`."""
    from sklearn.datasets import load_digits

    found = load_digits()
    for i, (pixels, digit) in enumerate(zip(found.images, found.target, strict=True)):
        part = "eight" if digit not in OTHERS else "few" if (found.target[:i] == digit).sum() < FEW else "test"
        folder = box.root / part / str(digit)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(pixels * (255 / 16)).astype(np.uint8)).save(folder / f"{i:04}.png")
    return box.root


@pytest.fixture(scope="module")
def eight(box: Sandbox, digits: Path) -> str:
    """The tag of a model of eight digits; its answers are for six views at once, and its features must not be."""
    network = ("--image-size", 8, "--depth", 2, "--width", 16, "--dense", 0, "--dropout", 0, "--mirrored", "--moved")
    done = box.run("--data", digits / "eight", "--out", digits / "base", "--epochs", 12, "--no-int8", *network)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def start(digits: Path, eight: str, name: str) -> list[object]:
    data = ("--data", digits / "few", "--test-data", digits / "test", "--out", digits / name, "--name", name)
    return [*data, "--backbone", eight, "--dropout", 0.2]


@pytest.fixture(scope="module")
def tuned(box: Sandbox, digits: Path, eight: str) -> dict[str, Any]:
    """The metrics of the two digits' model."""
    done = box.run(*start(digits, eight, "tuned"), *PHASES)
    assert done.returncode == 0, done.stderr
    assert "Phase 1 of 2, head: 66 of " in done.stderr
    assert "head fitted to the features of " in done.stderr
    found: dict[str, Any] = json.loads((digits / "tuned" / "metrics.json").read_text())
    return found


def test_what_eight_digits_have_taught_need_not_be_learned_again_for_the_other_two(
    box: Sandbox, digits: Path, eight: str, tuned: dict[str, Any]
) -> None:
    """That the weights get there and count; not what they are worth, for the settings were chosen so that they win.

    What a backbone is worth is measured by `python -m benchmarks.transfer`.
    """
    options = ["--weights", "none", "--dense", "0", "--epochs", "12", "--preset", "none", "--no-publish", "--no-int8"]
    done = box.run(*start(digits, eight, "scratch"), *options)
    assert done.returncode == 0, done.stderr
    scratch = json.loads((digits / "scratch" / "metrics.json").read_text())
    assert scratch["model"]["parameters"] == tuned["model"]["parameters"]
    assert [phase["name"] for phase in scratch["train"]["phases"]] == ["all layers"]
    assert scratch["train"]["backbone"] == {"name": eight, "weights": "none", "sha256": None}
    assert tuned["test"]["accuracy"] > scratch["test"]["accuracy"]
    assert tuned["test"]["accuracy"] > 0.85


def test_the_report_says_whose_weights_they_are_and_what_each_phase_did(
    digits: Path, eight: str, tuned: dict[str, Any]
) -> None:
    import hashlib

    (entry,) = (path for path in digits.glob("home/models/image_classifier/*/model.keras"))
    digest = hashlib.sha256(entry.read_bytes()).hexdigest()
    assert tuned["train"]["backbone"] == {"name": eight, "weights": "its own", "sha256": digest}
    head, tuning = tuned["train"]["phases"]
    assert (head["name"], head["epochs"], head["learning_rate"]) == ("head", 1, 0)
    assert (tuning["name"], tuning["epochs"], tuning["start"]) == ("fine-tuning", 12, 1)
    assert head["trainable_parameters"] == 66 < tuning["trainable_parameters"] < tuned["model"]["parameters"]
    rates = tuned["train"]["history"]["learning_rate"]
    assert rates[0] == 0 < max(rates[1:]) == pytest.approx(tuning["learning_rate"]) == pytest.approx(0.002)
    config = (digits / "tuned" / "config.toml").read_text()
    assert f'backbone = "{eight}"' in config
    assert digest in config
    page = (digits / "tuned" / "report.html").read_text()
    assert digest[:16] in page
    assert "fine-tuning" in page


def test_a_run_killed_after_the_head_and_while_it_fine_tunes_ends_as_one_left_alone(
    box: Sandbox, digits: Path, eight: str, tuned: dict[str, Any]
) -> None:
    out = digits / "killed"
    for epochs, command in (
        (1, [*start(digits, eight, "killed"), *PHASES, "--no-publish"]),
        (5, ["--resume", out]),
    ):
        process = box.start(*command)
        try:
            wait_for(lambda epochs=epochs: epochs_of(out) >= epochs, process)  # type: ignore[misc]
        finally:
            process.kill()
            process.communicate()
        assert not (out / "metrics.json").exists()
    done = box.run("--resume", out)
    assert done.returncode == 0, done.stderr
    resumed = json.loads((out / "metrics.json").read_text())
    assert resumed["train"]["history"] == tuned["train"]["history"]
    assert resumed["train"]["phases"] == tuned["train"]["phases"]
    assert weights_of(out) == weights_of(digits / "tuned")


@pytest.fixture(scope="module")
def server(box: Sandbox, tuned: dict[str, Any]) -> Iterator[Server]:
    with serving(Store(box.root / "home"), os.getcwd(), MODEL_TAG=tuned["model"]["tag"], RUNTIME="onnx") as running:
        yield running


def test_the_service_answers_with_it_what_keras_does(digits: Path, tuned: dict[str, Any], server: Server) -> None:
    import keras

    model = keras.saving.load_model(digits / "tuned" / "model" / "model.keras", compile=False)
    for path in sorted(digits.glob("test/*/*.png"))[::60]:
        pixels = np.asarray(Image.open(path).convert("RGB"))[None]
        answer: httpx.Response = server.predict(path.read_bytes(), "/predict?top_k=2")
        assert answer.status_code == 200, answer.text
        served = {entry["class"]: entry["score"] for entry in answer.json()["top_k"]}
        for name, expected in zip(("3", "8"), model.predict(pixels, verbose=0)[0], strict=True):
            assert served[name] == pytest.approx(expected, abs=1e-4)
