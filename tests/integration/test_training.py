"""Real runs of `python -m training` on small folders: what they leave, and what they say when they can't."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.folders import write_tree
from tests.integration.conftest import Store, serving
from training.decoded import DecodedImages

SMALL = ["--image-size", "16", "--depth", "1", "--width", "8", "--dense", "0"]
"""A network that trains in a second; the rest of a run's ten seconds is TensorFlow's start."""


@dataclass(frozen=True)
class Sandbox:
    """A cache, a model store and a working folder of their own."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "BENTOML_HOME": str(self.root / "home"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "PYTHONPATH": os.getcwd(),
            # A download must fail at once, here as on a closed network.
            "https_proxy": "http://127.0.0.1:9",
        }

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "training", *map(str, arguments)],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=300)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def stored(self) -> list[Path]:
        models = self.root / "home" / "models" / "image_classifier"
        return [entry for entry in models.iterdir() if entry.is_dir()] if models.exists() else []


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return Sandbox(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def data(sandbox: Sandbox) -> Path:
    """Unequal classes, a duplicate, a label conflict, two files that are no images."""
    root = write_tree(sandbox.root / "data", {"red": 60, "green": 24, "blue": 24})
    (root / "red" / "readme.txt").write_text("not an image")
    png = (root / "red" / "000.png").read_bytes()
    (root / "red" / "cut.png").write_bytes(png[:-200])
    (root / "red" / "no-extension").write_bytes(png)
    (root / "blue" / "conflict.png").write_bytes((root / "green" / "000.png").read_bytes())
    return root


@pytest.fixture(scope="module")
def run(sandbox: Sandbox, data: Path) -> tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]]:
    """One whole run: its folder, its metrics and what it printed."""
    out = sandbox.root / "run"
    done = sandbox.run("--data", data, "--out", out, "--epochs", 12, *SMALL)
    assert done.returncode == 0, done.stderr
    return out, json.loads((out / "metrics.json").read_text()), done


Run = tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]]


def test_a_run_answers_the_tag_on_stdout_after_the_table_and_everything_else_on_stderr(run: Run) -> None:
    _, metrics, done = run
    assert done.stdout.splitlines()[-1] == metrics["model"]["tag"]
    assert "macro" in done.stdout
    assert "1 corrupt_image, 1 unsupported_media_type" in done.stderr
    assert "Traceback" not in done.stderr


def test_metrics_have_the_documented_shape_and_a_tiny_network_tells_colours_apart(run: Run) -> None:
    test = run[1]["test"]
    assert test["accuracy"] >= 0.9
    for name in ("precision", "recall", "f1"):
        assert set(test[name]) == {"macro", "weighted"}
    assert set(test["per_class"]) == {"red", "green", "blue"}
    assert 0 <= test["ece"] <= 1
    assert test["auc"]["macro"] > 0.9


def test_the_report_tells_of_duplicates_conflicts_rejects_and_imbalance(run: Run) -> None:
    data = run[1]["data"]
    assert data["duplicates"] == 2
    assert [conflict["classes"] for conflict in data["label_conflicts"]] == [["blue", "green"]]
    assert {(r["file"], r["code"]) for r in data["rejected"]} == {
        ("red/readme.txt", "unsupported_media_type"),
        ("red/cut.png", "corrupt_image"),
    }
    assert data["imbalance"]["treatment"] == "class-weights"
    assert data["imbalance"]["ratio"] > 2


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_report_needs_no_other_file(run: Run) -> None:
    parser = _References()
    parser.feed((run[0] / "report.html").read_text())
    pictures = [reference for reference in parser.found if reference.startswith("data:image/png")]
    assert len(pictures) >= 6
    assert not [reference for reference in parser.found if not reference.startswith(("data:", "#"))]


def test_the_store_entry_has_what_the_service_needs(run: Run, sandbox: Sandbox) -> None:
    import yaml

    (entry,) = sandbox.stored()
    about = yaml.safe_load((entry / "model.yaml").read_text())
    assert about["metadata"]["class_names"] == ["blue", "green", "red"]
    assert about["metadata"]["image_size"] == 16
    assert about["metadata"]["data"]["fingerprint"] == run[1]["data"]["fingerprint"]
    assert about["labels"]["data"] == "data"
    assert {"model.keras", "model.onnx", "golden"} <= {file.name for file in entry.iterdir()}
    golden = json.loads((entry / "golden" / "golden.json").read_text())
    assert {image["class"] for image in golden} == {"blue", "green", "red"}


def test_the_exported_forms_answer_what_keras_answers(run: Run) -> None:
    import onnxruntime

    out, metrics, _ = run
    assert metrics["model"]["onnx_max_difference"] <= 1e-4
    session = onnxruntime.InferenceSession(out / "model" / "model.onnx")
    assert (session.get_inputs()[0].name, session.get_inputs()[0].shape) == ("image", ["batch", 16, 16, 3])
    assert (session.get_outputs()[0].name, session.get_outputs()[0].shape) == ("probabilities", ["batch", 3])
    int8 = metrics["model"]["int8"]
    assert int8["kept"] == (out / "model" / "model-int8.onnx").exists()
    assert not int8["kept"] or int8["accuracy_fp32"] - int8["accuracy"] <= 0.005 + 1e-9


def test_a_stored_model_is_evaluated_on_another_folder(run: Run, sandbox: Sandbox) -> None:
    other = write_tree(sandbox.root / "other", {"red": 5, "blue": 6}, seed=9)
    out = sandbox.root / "evaluation"
    done = sandbox.run("evaluate", "image_classifier:latest", "--data", other, "--out", out)
    assert done.returncode == 0, done.stderr
    found = json.loads((out / "metrics.json").read_text())
    assert found["test"]["images"] == 11
    assert found["test"]["per_class"]["green"]["f1"] is None
    assert found["model"]["tag"] == run[1]["model"]["tag"]
    write_tree(other, {"green": 1})
    (other / "green").rename(other / "purple")
    done = sandbox.run("evaluate", "image_classifier", "--data", other)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "purple is no class of the training data" in done.stderr


@pytest.mark.parametrize("options", ["", "--schedule plateau --optimizer sgd --learning-rate 0.3 --patience 3"])
def test_the_same_seed_repeats_exactly_even_through_a_kill_and_a_resume(
    run: Run, sandbox: Sandbox, data: Path, tmp_path: Path, options: str
) -> None:
    whole = run[0]
    if options:
        whole = tmp_path / "whole"
        done = sandbox.run(*("--data", data, "--out", whole, "--epochs", 12, "--no-publish"), *SMALL, *options.split())
        assert done.returncode == 0, done.stderr
    out = tmp_path / "killed"
    process = sandbox.start(*("--data", data, "--out", out, "--epochs", 12, "--no-publish"), *SMALL, *options.split())
    try:
        wait_for(lambda: epochs_of(out) >= 5, process)
    finally:
        process.kill()
        process.communicate()
    assert not (out / "metrics.json").exists()
    done = sandbox.run("--resume", out)
    assert done.returncode == 0, done.stderr
    assert "going on after epoch" in done.stderr
    resumed, expected = (json.loads((folder / "metrics.json").read_text()) for folder in (out, whole))
    assert resumed["train"]["history"] == expected["train"]["history"]
    assert resumed["test"] == expected["test"]
    assert weights_of(out) == weights_of(whole)
    if options:
        assert len(set(resumed["train"]["history"]["learning_rate"])) > 1


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def epochs_of(out: Path) -> int:
    try:
        return int(json.loads((out / "checkpoint" / "state.json").read_text())["epochs"])
    except (OSError, ValueError):
        return 0


def weights_of(out: Path) -> list[bytes]:
    import onnx

    graph = onnx.load(out / "model" / "model.onnx").graph
    return sorted(onnx.numpy_helper.to_array(weight).tobytes() for weight in graph.initializer)


def test_ctrl_c_keeps_the_best_epoch_evaluates_and_can_be_resumed(sandbox: Sandbox, data: Path) -> None:
    out = sandbox.root / "interrupted"
    process = sandbox.start("--data", data, "--out", out, "--epochs", 2000, "--patience", 2000, "--no-publish", *SMALL)
    try:
        wait_for(lambda: epochs_of(out) >= 2, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "Ctrl-C: keeping the best epoch so far" in err
    train = json.loads((out / "metrics.json").read_text())["train"]
    assert train["stopped"] == "interrupted"
    assert 1 <= train["best_epoch"] <= train["epochs"] < 2000
    assert (out / "report.html").exists()


def test_a_published_run_is_not_published_again(run: Run, sandbox: Sandbox) -> None:
    before = sandbox.stored()
    done = sandbox.run("--resume", run[0])
    assert done.returncode == 0
    assert "is complete already" in done.stderr
    assert done.stdout.splitlines()[-1] == run[1]["model"]["tag"]
    assert sandbox.stored() == before


@pytest.mark.parametrize(
    "options",
    [
        "--optimizer sgd --schedule plateau --balance oversample --activation silu --preset overhead --l2 0",
        "--optimizer adamw --schedule constant --balance none --activation elu --preset none --dropout 0",
    ],
)
def test_the_other_choices_train_and_export_too(sandbox: Sandbox, data: Path, tmp_path: Path, options: str) -> None:
    out = tmp_path / "run"
    done = sandbox.run(
        *("--data", data, "--out", out, "--epochs", 8, "--no-publish", *SMALL, "--dense", 16), *options.split()
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["model"]["onnx_max_difference"] <= 1e-4
    assert metrics["train"]["history"]["loss"][-1] < metrics["train"]["history"]["loss"][0]
    asked = dict(zip(options.split()[::2], options.split()[1::2], strict=True))
    config = metrics["train"]["config"]
    assert (config["optimizer"], config["schedule"]) == (asked["--optimizer"], asked["--schedule"])
    assert metrics["data"]["imbalance"]["treatment"] == asked["--balance"]


def test_a_bad_model_is_refused_and_the_store_left_as_it_was(sandbox: Sandbox, data: Path) -> None:
    before = sandbox.stored()
    out = sandbox.root / "refused"
    done = sandbox.run(
        "--data", data, "--out", out, "--epochs", 1, "--learning-rate", 1e-8, "--min-accuracy", 0.99, *SMALL
    )
    assert done.returncode == 3
    assert re.search(r"error: not published: test accuracy 0\.\d+ is below --min-accuracy 0\.99", done.stderr)
    assert sandbox.stored() == before
    assert (out / "report.html").exists()


def test_a_publisher_that_is_killed_leaves_no_half_model(sandbox: Sandbox, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "model.onnx").write_bytes(b"x" * 1000)
    script = (
        "import os, shutil, signal, sys\n"
        "from pathlib import Path\n"
        "from training.publish import publish\n"
        "copy = shutil.copy2\n"
        "def copy_then_die(source, target, **options):\n"
        "    copy(source, target, **options)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if sys.argv[2:] == ['die']:\n"
        "    shutil.copytree.__defaults__ = (False, None, copy_then_die, False, False)\n"
        "print(publish('half', Path(sys.argv[1]), {}, {'class_names': ['a']}))\n"
    )
    environment = sandbox.environment | {"BENTOML_HOME": str(tmp_path / "home")}

    def publish(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, str(files), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert publish("die").returncode == -signal.SIGKILL
    assert not (tmp_path / "home" / "models" / "half").exists()
    assert [entry.name for entry in (tmp_path / "home").glob("*staging*")]
    done = publish()
    assert done.returncode == 0, done.stderr
    assert not [entry.name for entry in (tmp_path / "home").glob("*staging*")]
    assert len([entry for entry in (tmp_path / "home" / "models" / "half").iterdir() if entry.is_dir()]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "nowhere"], 1, "no such folder: nowhere"),
        ([], 1, "no data: pass --data DIR"),
        (["--data", "one"], 1, "one has one class only (red)"),
        (["--data", "few"], 1, "class 'blue' has 2 usable distinct images; it needs 3"),
        (["--data", "data", "--strict"], 1, "--strict: red/cut.png"),
        (["--data", "data", "--epochs", "0"], 2, "--epochs is 0; it must be at least 1"),
        (["--data", "data", "--config", "none.toml"], 2, "--config none.toml: No such file"),
        (["--data", "data", "--out", "run"], 2, "run holds a run already; continue it with --resume run"),
        (["--resume", "data"], 1, "data holds no run to resume"),
        (["--resume", "run", "--epochs", "3"], 2, "--resume takes the options of the run"),
        (["--data", "data", "--cache-dir", "/proc/nowhere"], 1, "can't be written to /proc/nowhere"),
        (["--data", "cifar10"], 1, "cifar10 can't be downloaded"),
        (["evaluate", "nothing:1", "--data", "data"], 1, "no model nothing:1 in the store"),
    ],
)
def test_a_mistake_costs_one_clear_line(
    run: Run, sandbox: Sandbox, arguments: list[str], code: int, message: str
) -> None:
    write_tree(sandbox.root / "one", {"red": 5})
    write_tree(sandbox.root / "few", {"red": 5, "blue": 2})
    done = sandbox.run(*arguments)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Downloading data")]
    assert (done.returncode, done.stdout) == (code, "")
    assert message in lines[-1]
    assert lines[-1].startswith("error: ")
    assert len(lines) == 1, done.stderr


def test_a_folder_that_changed_is_not_resumed(sandbox: Sandbox) -> None:
    root = write_tree(sandbox.root / "changing", {"red": 8, "blue": 8})
    out = sandbox.root / "changed"
    assert sandbox.run("--data", root, "--out", out, "--epochs", 1, "--no-publish", "--no-int8", *SMALL).returncode == 0
    write_tree(root, {"green": 8})
    done = sandbox.run("--resume", out)
    assert done.returncode == 1
    assert f"the images have changed since {out} was begun" in done.stderr


def test_a_separate_test_folder_is_never_trained_on_and_may_lack_a_class(sandbox: Sandbox, data: Path) -> None:
    test = write_tree(sandbox.root / "odd (name) \u6d4b" / "test", {"red": 6, "blue": 6}, seed=5)
    (test / "red" / "leak.png").write_bytes((data / "red" / "006.png").read_bytes())
    out = sandbox.root / "separate"
    done = sandbox.run(*("--data", data, "--test-data", test, "--out", out, "--epochs", 1, "--name", "other"), *SMALL)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["data"]["leaked"] == 1
    assert metrics["data"]["splits"]["test"] == {"blue": 6, "green": 0, "red": 7}
    assert metrics["test"]["per_class"]["green"]["f1"] is None
    assert metrics["model"]["tag"].startswith("other:")
    assert "1 training images are in the test folder too" in done.stderr


@pytest.mark.parametrize(("runtime", "tolerance"), [("onnx", 1e-4), ("keras", 1e-4), ("onnx-int8", 0.05)])
def test_the_served_probabilities_are_those_of_training(
    run: Run, sandbox: Sandbox, data: Path, runtime: str, tolerance: float
) -> None:
    """The same files through training's decoded cache and Keras model, and through the served API."""
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
    """In a process of its own, as TensorFlow can't be unloaded from this one."""
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


def test_the_decoded_cache_of_a_run_opens_as_it_is(run: Run, sandbox: Sandbox) -> None:
    entries = [entry for entry in (sandbox.root / "cache" / "image-classifier").iterdir() if len(entry.name) == 32]
    assert any(len(DecodedImages.open(entry, 16)[np.arange(3)]) == 3 for entry in entries if fits(entry))


def fits(entry: Path) -> bool:
    try:
        DecodedImages.open(entry, 16)
    except OSError:
        return False
    return True
