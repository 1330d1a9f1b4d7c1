"""Two workers train one model like a single process, and resume after a killed worker, Ctrl-C and SIGTERM."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.conftest import free_port
from tests.integration.training.conftest import SMALL, Sandbox
from tests.integration.training.test_training_interrupted import epochs_of, wait_for, weights_of

# With this seed there are 90 training images; of an odd number, two workers would leave one out.
OPTIONS = ("--epochs", 6, "--batch-size", 16, "--seed", 1, "--no-int8", *SMALL)
LOST, APART = 75, 69

Pair = list[subprocess.Popen[str]]


@contextlib.contextmanager
def two(sandbox: Sandbox, *arguments: object) -> Iterator[Pair]:
    """Start worker 0 and worker 1; stop both at the end."""
    where = f"127.0.0.1:{free_port()}"
    pair = [replace(sandbox, variables={**sandbox.variables, **worker(i, where)}).start(*arguments) for i in range(2)]
    try:
        yield pair
    finally:
        for process in pair:
            process.kill()
            process.communicate()


def worker(index: int, where: str, count: int = 2) -> Mapping[str, str]:
    return {
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
        "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": where,
        "KERAS_DISTRIBUTION_TIMEOUT": "120",
    }


def ends(pair: Pair) -> list[tuple[int, str, str]]:
    """Return exit code, output and error of both workers, which must exit by themselves within four minutes."""
    said = [process.communicate(timeout=240) for process in pair]
    return [(process.returncode, *texts) for process, texts in zip(pair, said, strict=True)]


def train_of(out: Path) -> dict[str, Any]:
    section: dict[str, Any] = json.loads((out / "metrics.json").read_text())["train"]
    return section


@pytest.fixture(scope="module")
def whole(jax: Sandbox, data: Path) -> Path:
    """The folder of an uninterrupted run by two workers."""
    out = jax.root / "together"
    with two(jax, "--data", data, "--out", out, "--name", "by-two", *OPTIONS) as pair:
        (code, answer, error), other = ends(pair)
    assert code == 0, error
    assert "Epoch   6/6" in error
    assert answer.splitlines()[-1].startswith("by-two:")
    assert other == (0, "", "")
    assert len(jax.stored("by-two")) == 1
    document = json.loads((out / "metrics.json").read_text())
    assert document["environment"]["workers"] == 2
    assert document["model"]["tag"] == answer.splitlines()[-1]
    return out


def test_two_workers_learn_the_same_as_one_process(whole: Path, jax: Sandbox, data: Path) -> None:
    alone = jax.root / "alone"
    done = jax.run("--data", data, "--out", alone, "--no-publish", *OPTIONS)
    assert done.returncode == 0, done.stderr
    expected, found = train_of(alone)["history"], train_of(whole)["history"]
    # Sums are taken in another order, so the last digits of float32 differ, more with each step.
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=2e-4), name


def test_if_a_worker_is_killed_or_hangs_the_other_exits_and_the_run_resumes_exactly(
    whole: Path, jax: Sandbox, data: Path
) -> None:
    out = jax.root / "killed"
    arguments: tuple[object, ...] = ("--data", data, "--out", out, "--no-publish", *OPTIONS)
    # Nothing closes the connections of one that hangs: it is missed when half a minute has no sign of its life.
    for gone, how, epochs in ((1, signal.SIGKILL, 1), (0, signal.SIGSTOP, 3)):
        with two(jax, *arguments) as pair:
            wait_for(lambda epochs=epochs: epochs_of(out) >= epochs, pair[0])  # type: ignore[misc]
            lost = psutil.Process(pair[gone].pid)
            tree = [lost, *lost.children()]
            for process in tree:
                process.send_signal(how)
            try:
                _, error = pair[1 - gone].communicate(timeout=240)
            finally:
                for process in tree:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()
        assert pair[1 - gone].returncode == LOST, error
        last = error.splitlines()[-1]
        assert last.startswith(f"error: worker {1 - gone} lost another worker: "), error
        assert "Traceback" not in error
        assert "Check failure" not in error
        assert epochs_of(out) < 6
        arguments = ("--resume", out)
    with two(jax, *arguments) as pair:
        (code, _, error), other = ends(pair)
    assert code == 0, error
    assert other == (0, "", "")
    assert "resuming after epoch" in error
    assert train_of(out)["history"] == train_of(whole)["history"]
    assert weights_of(out) == weights_of(whole)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_one_worker_stops_all_at_the_same_step(
    jax: Sandbox, data: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    out = tmp_path / "stopped"
    with two(jax, "--data", data, "--out", out, "--no-publish", *OPTIONS, "--epochs", 5000) as pair:
        wait_for(lambda: epochs_of(out) >= 1, pair[0])
        pair[1].send_signal(sent)
        ended = ends(pair)
    if sent == signal.SIGINT:
        assert [code for code, *_ in ended] == [0, 0], ended
        train = train_of(out)
        assert train["stopped"] == "interrupted"
        assert 1 <= train["best_epoch"] <= train["epochs"] < 5000
    else:
        assert [code for code, *_ in ended] == [LOST, LOST], ended
        assert all("stopped from outside after" in error.splitlines()[-1] for _, _, error in ended)
        assert not (out / "metrics.json").exists()


def test_a_worker_exits_if_the_others_never_connect(jax: Sandbox, data: Path, tmp_path: Path) -> None:
    variables = {**worker(0, f"127.0.0.1:{free_port()}"), "KERAS_DISTRIBUTION_TIMEOUT": "2"}
    alone = replace(jax, variables={**jax.variables, **variables})
    done = alone.run("--data", data, "--out", tmp_path / "alone", *OPTIONS)
    assert done.returncode == APART, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: worker 0 of 2 couldn't connect to the others at 127.0.0.1:")
    assert "Traceback" not in done.stderr
