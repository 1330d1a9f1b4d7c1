"""Stopping, crashing and resuming: the same weights, and never an incomplete model."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.folders import write_tree
from tests.integration.training.conftest import SMALL, Run, Sandbox


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--optimizer sgd --learning-rate 0.3 --patience 6",
        "--schedule one-cycle --block residual --precision bfloat16",
        "--recipe accurate --batch-size 4 --learning-rate 0.05 --width 8",
    ],
)
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
    assert "resuming after epoch" in done.stderr
    resumed, expected = (json.loads((folder / "metrics.json").read_text()) for folder in (out, whole))
    assert resumed["train"]["history"] == expected["train"]["history"]
    assert resumed["test"] == expected["test"]
    assert weights_of(out) == weights_of(whole)
    assert (out / "history.csv").read_text() == (whole / "history.csv").read_text()
    if options:
        assert len(set(resumed["train"]["history"]["learning_rate"])) > 1


def test_a_run_killed_after_its_last_epoch_is_not_trained_further(sandbox: Sandbox, data: Path) -> None:
    out = sandbox.root / "ended"
    options = ("--epochs", 60, "--patience", 1, "--no-publish", "--no-int8")
    assert sandbox.run("--data", data, "--out", out, *options, *SMALL).returncode == 0
    expected = json.loads((out / "metrics.json").read_text())["train"]
    assert expected["stopped"] == "early_stopping"
    # What a kill leaves between the last epoch and the word that there will be no other.
    (out / "metrics.json").unlink()
    state = out / "checkpoint" / "state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"stopped": ""}))
    done = sandbox.run("--resume", out)
    assert done.returncode == 0, done.stderr
    train = json.loads((out / "metrics.json").read_text())["train"]
    assert (train["history"], train["stopped"]) == (expected["history"], "early_stopping")


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


def test_a_finished_run_trains_on_with_more_epochs_and_images_that_have_moved(
    run: Run, sandbox: Sandbox, data: Path, tmp_path: Path
) -> None:
    out, moved = tmp_path / "run", tmp_path / "moved"
    shutil.copytree(run[0], out)
    shutil.copytree(data, moved)
    before = sandbox.stored()
    done = sandbox.run("--resume", out, "--epochs", 15, "--data", moved)
    assert done.returncode == 0, done.stderr
    first, train = run[1]["train"], json.loads((out / "metrics.json").read_text())["train"]
    assert (first["epochs"], train["phases"][0]["most_epochs"]) == (12, 15)
    assert 13 < train["epochs"] <= 15  # it may have stopped early
    assert train["history"]["loss"][:12] == first["history"]["loss"]
    rates = train["history"]["learning_rate"]
    assert rates[12] > rates[11]  # where the schedule of 15 epochs is, and not at the end of that of 12
    assert rates[12] > rates[13]
    assert f'data = "{moved}"' in (out / "config.toml").read_text()
    assert (train["best_epoch"] == first["best_epoch"]) == (sandbox.stored() == before)
    assert "is complete already" in sandbox.run("--resume", out, "--epochs", 15).stderr


def test_a_folder_that_changed_is_not_resumed(sandbox: Sandbox) -> None:
    root = write_tree(sandbox.root / "changing", {"red": 8, "blue": 8})
    out = sandbox.root / "changed"
    assert sandbox.run("--data", root, "--out", out, "--epochs", 1, "--no-publish", "--no-int8", *SMALL).returncode == 0
    write_tree(root, {"green": 8})
    done = sandbox.run("--resume", out)
    assert done.returncode == 1
    assert f"the images have changed since {out} was begun" in done.stderr


def test_a_publisher_that_is_killed_leaves_no_half_model(sandbox: Sandbox, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "model.onnx").write_bytes(b"x" * 1000)
    script = (
        "import os, shutil, signal, sys\n"
        "from pathlib import Path\n"
        "from training.export.publish import publish\n"
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
    assert list((tmp_path / "home").glob("*staging*/"))
    # As the only process of a container leaves it, whose successor has the number 1 again.
    (tmp_path / "home" / "image-classifier-staging-1").mkdir()
    done = publish()
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "home").glob("*staging*/"))
    assert len([entry for entry in (tmp_path / "home" / "models" / "half").iterdir() if entry.is_dir()]) == 1
