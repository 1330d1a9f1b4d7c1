"""`python -m training tune` for real: processes, kills, Ctrl-C, PostgreSQL; and that the test part is never seen."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
import pytest
from PIL import Image

from tests.folders import write_tree
from tests.integration.conftest import free_port
from tests.integration.training.conftest import SMALL, Run, Sandbox
from training.config import Config
from training.data.dataset import load
from training.tune.plan import Plan
from training.tune.space import Dimension, Space
from training.tune.study import BASELINE
from training.tune.trial import Objective

Searched = tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]]

SPACE = """
learning_rate = { choices = [0.01, 10.0] }
width = { choices = [4, 8] }
"""
SMALLEST = ["--image-size", 16, "--depth", 1, "--dense", 0, "--epochs", 2, "--batch-size", 8]
# With so strong a penalty a rate of 10 multiplies the weights by -19 a step: a loss that is no number.
FIXED = [*SMALLEST, "--optimizer", "sgd", "--l2", 1, "--seed", 5, "--data-pruning", 0.5]
SECRET = "correct-horse"


@pytest.fixture(scope="module")
def space(sandbox: Sandbox) -> Path:
    path = sandbox.root / "space.toml"
    path.write_text(SPACE)
    return path


@pytest.fixture(scope="module")
def test_data(sandbox: Sandbox) -> Path:
    return write_tree(sandbox.root / "test-data", {"red": 8, "green": 8, "blue": 8}, seed=9)


@pytest.fixture(scope="module")
def searched(sandbox: Sandbox, data: Path, test_data: Path, space: Path) -> Searched:
    """A grid by two processes, two of its four trials without a loss, and the best one trained anew."""
    out = sandbox.root / "searched"
    options = ("--search", "grid", "--space", space, "--processes", 2, "--retrain", "--name", "tuned")
    done = sandbox.run("tune", "--data", data, "--test-data", test_data, "--out", out, *options, *FIXED)
    assert done.returncode == 0, done.stderr
    return out, document(out), done


def document(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "study.json").read_text())
    return found


def losses(found: dict[str, Any]) -> dict[str, float]:
    return {json.dumps(trial["params"], sort_keys=True): trial["val_loss"] for trial in found["trials"]}


def test_every_trial_is_done_and_one_that_fails_ends_nothing(searched: Searched) -> None:
    _, found, done = searched
    assert found["study"]["finished"] == found["study"]["wanted"] == 5
    states = {trial["number"]: trial["state"] for trial in found["trials"]}
    assert sorted(states) == [0, 1, 2, 3, 4]
    rates = {trial["params"].get("learning_rate"): trial["state"] for trial in found["trials"][1:]}
    assert rates == {0.01: "complete", 10.0: "failed"}
    failed = next(trial for trial in found["trials"] if trial["state"] == "failed")
    assert failed["error"].startswith("the training diverged: in epoch")
    assert "Traceback" not in done.stderr
    for number in states:
        assert f"Trial {number:3}  " in done.stderr
    assert found["comparison"]["text"] in " ".join(done.stdout.split())
    assert (searched[0] / "report.html").read_text().count("data:image/png;base64,") >= 2


def test_the_images_are_decoded_once(searched: Searched) -> None:
    logs = [(searched[0] / f"worker-{place}.log").read_text() for place in (0, 1)]
    assert "decoded in" in searched[2].stderr
    for log in logs:
        assert log.count("images of 3 classes") == 1
        assert "from the cache" in log


def test_the_best_is_trained_on_all_but_the_test_images_and_published(searched: Searched, sandbox: Sandbox) -> None:
    out, found, done = searched
    tag = done.stdout.splitlines()[-1]
    assert found["retrained"]["tag"] == tag
    assert tag.startswith("tuned:")
    assert (sandbox.root / "home" / "models" / "tuned" / tag.partition(":")[2] / "model.onnx").exists()
    run = json.loads((out / found["retrained"]["report"]).with_name("metrics.json").read_text())
    best = next(trial for trial in found["trials"] if trial["number"] == found["best"])
    assert run["train"]["config"] | best["params"] == run["train"]["config"]
    assert run["train"]["epochs"] == run["train"]["best_epoch"] == best["best_epoch"]
    assert set(run["data"]["splits"]) == {"train", "test"}
    assert sum(run["data"]["splits"]["train"].values()) == sum(found["data"]["images"].values())
    assert run["validation"] is None
    assert run["calibration"]["temperature"] == 1
    assert "val_loss" not in run["train"]["history"]


def test_what_the_test_part_holds_makes_no_difference(sandbox: Sandbox, data: Path, test_data: Path) -> None:
    poisoned = sandbox.root / "poisoned"
    shutil.copytree(test_data, poisoned)
    rng = np.random.default_rng(0)
    for file in poisoned.rglob("*.*"):
        file.unlink()
        Image.fromarray(rng.integers(0, 256, (20, 16, 3), np.uint8)).save(file.with_suffix(".png"))
    assert search_of(sandbox, data, test_data) == search_of(sandbox, data, poisoned)


def search_of(sandbox: Sandbox, data: Path, test_data: Path) -> list[Any]:
    """Do two trials here, which saves starting processes; returns all that they came to."""
    small = {"image_size": 16, "depth": 1, "width": 4, "dense": 0, "epochs": 2, "decoders": 1}
    config = Config(data=str(data), test_data=str(test_data), cache_dir=str(sandbox.root / "cache"), **small)  # type: ignore[arg-type]
    loaded = load(config)
    searched = Space({"learning_rate": Dimension(float, (), 1e-3, 1e-1, True)})
    fingerprint = loaded.summary["fingerprint"]
    plan = Plan(config.for_images(100), searched, "random", 1, 1, sandbox.root, "sqlite://", "study", fingerprint)
    objective = Objective(plan)
    assert "test" in loaded.parts
    assert set(objective.data.parts) == {"train", "validation"}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.enqueue_trial({}, user_attrs={BASELINE: True})
    study.optimize(lambda trial: objective(trial, lambda: None), n_trials=2)
    return [
        (trial.value, trial.params, trial.intermediate_values, trial.user_attrs | {"seconds": None})
        for trial in study.trials
    ]


def test_another_space_and_other_images_are_refused(searched: Searched, sandbox: Sandbox, data: Path) -> None:
    other = sandbox.root / "other.toml"
    other.write_text(SPACE.replace("[4, 8]", "[4, 16]"))
    options = ("--search", "grid", "--space", other, "--out", searched[0], *FIXED)
    done = sandbox.run("tune", "--data", data, *options)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: study study in ")
    assert "was started with other images; start a new study" in done.stderr
    assert document(searched[0]) == searched[1]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def states(out: Path) -> list[str]:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{out / 'study.db'}?mode=rw", uri=True, timeout=30)) as database:
            return [state for (state,) in database.execute("SELECT state FROM trials ORDER BY number")]
    except sqlite3.OperationalError:
        return []


def test_a_kill_and_ctrl_c_lose_nothing_that_was_finished(run: Run, sandbox: Sandbox, data: Path) -> None:
    out = sandbox.root / "interrupted-search"
    command = ("tune", "--data", data, "--out", out, "--search", "random", "--trials", 9, "--epochs", 12, *SMALL)
    process = sandbox.start(*command)
    wait_for(lambda: states(out) == ["COMPLETE", "RUNNING"], process)
    orphans = workers(process.pid)
    assert orphans
    for status in (file for pid in orphans for file in Path(f"/proc/{pid}/task").glob("*/status")):
        blocked = int(re.findall(r"SigBlk:\s*(\w+)", status.read_text())[0], 16)
        assert blocked & 1 << signal.SIGINT - 1, "a library's thread would take Ctrl-C"
    process.kill()
    process.communicate()
    wait_until_gone(orphans)
    assert states(out) == ["COMPLETE", "RUNNING"]

    process = sandbox.start(*command)
    wait_for(lambda: states(out)[:3] == ["COMPLETE", "FAIL", "COMPLETE"], process)
    # As a terminal does it: to all processes of the group.
    for pid in [process.pid, *workers(process.pid)]:
        os.kill(pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "; 1 are done already" in err
    assert "Ctrl-C: stopping after the trials that are running" in err
    assert "RUNNING" not in states(out)
    found = document(out)
    done = found["study"]["finished"]
    assert 2 <= done < 10
    assert err.splitlines()[-1] == f"error: stopped after {done} of 10 trials; the same command resumes the search"
    assert "the same command resumes it" in (out / "report.html").read_text()
    assert [trial["state"] for trial in found["trials"]] == ["complete"] * done
    assert [trial["number"] for trial in found["trials"]][:2] == [0, 2]

    # The first one is what a training with the same options is, but for the penalty on the weights in its loss.
    trained, default = run[1]["train"], found["trials"][0]
    best = trained["best_epoch"]
    assert (default["best_epoch"], default["epochs"]) == (best, trained["epochs"])
    assert default["val_accuracy"] == trained["history"]["val_accuracy"][best - 1]
    assert 0 < trained["history"]["val_loss"][best - 1] - default["val_loss"] < 0.1


def workers(pid: int) -> list[int]:
    started = psutil.Process(pid).children()
    return [child.pid for child in started if any("spawn_main" in word for word in child.cmdline())]


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a loopback port that wants a password; yields the URL without it."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("needs Debian's postgresql")
    bin_, port = programs[-1], free_port()
    # Not below pytest's folder, which only we may enter: the server refuses to run as root.
    home = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    user: list[str] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    if user:
        os.chown(home, 65534, 65534)
    (home / "password").write_text(SECRET)
    (home / "password").chmod(0o644)
    made = ["-D", f"{home}/data", "-U", "tuner", "-A", "scram-sha-256", "--pwfile", f"{home}/password", "--no-sync"]
    made += ["--no-locale"]  # as in containers: of the encoding SQL_ASCII
    subprocess.run([*user, f"{bin_}/initdb", *made], check=True, capture_output=True, cwd="/")
    settings = ["-p", str(port), "-k", str(home), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    log = (home / "log").open("wb")
    server = subprocess.Popen([*user, f"{bin_}/postgres", "-D", f"{home}/data", *settings], stderr=log, cwd="/")
    try:
        ready = [f"{bin_}/pg_isready", "-h", "127.0.0.1", "-p", str(port), "-q"]
        deadline = time.monotonic() + 60
        while subprocess.run(ready, check=False).returncode:
            assert server.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield f"postgresql+psycopg://tuner@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)
        log.close()
        shutil.rmtree(home)


def test_machines_share_a_study_in_postgresql(postgresql: str, sandbox: Sandbox, data: Path) -> None:
    """Two commands with folders of their own, as on two machines; one of them loses its worker."""
    common = ("tune", "--data", data, "--study", "shared", "--search", "random", "--trials", 2, "--epochs", 3, *SMALL)
    outs = [sandbox.root / "machine-0", sandbox.root / "machine-1"]
    first = Sandbox(sandbox.root, {"PGPASSWORD": SECRET})
    second = Sandbox(sandbox.root, {"TUNE_STORAGE": postgresql.replace("tuner@", f"tuner:{SECRET}@")})
    log = outs[0] / "worker-0.log"
    machines = [first.start(*common, "--storage", postgresql, "--out", outs[0])]
    try:
        wait_for(lambda: log.exists() and "Epoch   1/3" in log.read_text(), machines[0])
        for worker in workers(machines[0].pid):
            os.kill(worker, signal.SIGKILL)
        machines.append(second.start(*common, "--out", outs[1]))
        answers = [machine.communicate(timeout=240) for machine in machines]
    finally:
        for machine in machines:
            machine.kill()
    assert [machine.returncode for machine in machines] == [0, 0], answers
    assert "was killed by SIGKILL (out of memory?); its trial is repeated" in answers[0][1]
    found = [document(out) for out in outs]
    assert [trial["state"] for trial in found[0]["trials"]] == ["complete"] * 3
    assert losses(found[0]) == losses(found[1])
    texts = [text for answer in answers for text in answer]
    texts += [file.read_text(errors="replace") for out in outs for file in out.glob("*.*") if file.suffix != ".png"]
    assert len(texts) > 8
    assert not [text for text in texts if SECRET in text]
    assert any(postgresql in text for text in texts)
