"""Models that are in the store already: one of an older training is evaluated, one of a newer schema is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.folders import write_tree
from tests.integration.training.conftest import SMALL, Sandbox
from tests.stored import place


@pytest.fixture
def own(tmp_path: Path) -> Sandbox:
    write_tree(tmp_path / "data", {"red": 6, "green": 6, "blue": 6})
    return Sandbox(tmp_path)


def test_a_model_that_an_older_training_stored_is_evaluated(own: Sandbox) -> None:
    tag = place(own.root / "home")
    done = own.run("evaluate", tag, "--data", "data", "--runtime", "keras", "--out", "tested")
    assert done.returncode == 0, done.stderr
    found = json.loads((own.root / "tested" / "metrics.json").read_text())
    assert found["model"] == {"tag": tag, "runtime": "keras"}
    assert found["data"]["classes"] == ["blue", "green", "red"]
    assert found["test"]["accuracy"] > 0.8


@pytest.mark.parametrize("command", ["evaluate", "backbone"])
def test_a_model_of_a_newer_schema_is_refused_in_one_line(own: Sandbox, command: str) -> None:
    tag = place(own.root / "home", schema=2)
    arguments = ["evaluate", tag] if command == "evaluate" else ["--backbone", tag, "--out", "run", *SMALL[2:]]
    done = own.run(*arguments, "--data", "data")
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Downloading data")]
    about = "error: " if command == "evaluate" else "error: --backbone: "
    assert (done.returncode, done.stdout) == (1, "")
    assert lines == [
        f"{about}{tag} was made by a newer version of this project: its metadata has schema 2, this version reads up "
        "to 1; use the newer version, or train the model again with this one"
    ]
    assert not (own.root / "run").exists()
