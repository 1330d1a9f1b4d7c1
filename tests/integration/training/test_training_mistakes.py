"""Mistakes: one line, an exit code, and an unchanged model store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.folders import write_tree
from tests.integration.training.conftest import SMALL, Run, Sandbox


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "nowhere"], 1, "no such folder: nowhere"),
        ([], 1, "no data: pass --data DIR"),
        (["--data", "one"], 1, "one has one class only (red)"),
        (["--data", "few"], 1, "class 'blue' has 2; each needs 3, one each for train"),
        (["--data", "data", "--strict"], 1, "--strict: red/cut.png"),
        (["--data", "data", "--epochs", "0"], 2, "--epochs is 0; it must be at least 1"),
        (["--data", "data", "--config", "none.toml"], 2, "--config none.toml: No such file"),
        (["--data", "data", "--out", "run"], 2, "run holds a run already; resume it with --resume run"),
        (["--resume", "data"], 1, "data holds no run to resume"),
        (["--resume", "run", "--epochs", "3"], 2, "--epochs 3: run has 12 already"),
        (["--resume", "run", "--depth", "3"], 2, "--resume continues with the options of the run"),
        (["--data", "data", "--cache-dir", "/proc/nowhere"], 1, "can't be written to /proc/nowhere"),
        (["--data", "cifar10"], 1, "cifar10 can't be downloaded"),
        (["evaluate", "nothing:1", "--data", "data"], 1, "no model nothing:1 in the store"),
    ],
)
def test_a_mistake_is_reported_in_one_line(
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


def test_a_bad_model_is_refused_and_the_store_is_not_changed(sandbox: Sandbox, data: Path) -> None:
    before = sandbox.stored()
    out = sandbox.root / "refused"
    done = sandbox.run(
        "--data", data, "--out", out, "--epochs", 1, "--learning-rate", 1e-8, "--min-accuracy", 0.99, *SMALL
    )
    assert done.returncode == 3
    assert re.search(r"error: not published: test accuracy 0\.\d+ is below --min-accuracy 0\.99", done.stderr)
    assert sandbox.stored() == before
    assert (out / "report.html").exists()
