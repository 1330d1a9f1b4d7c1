"""Models that are in the store already: one of an older training is evaluated, those that can't be used are refused."""

from __future__ import annotations

import json
import os
import re
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
    tag = place(own.root / "home", schema=3)
    arguments = ["evaluate", tag] if command == "evaluate" else ["--backbone", tag, "--out", "run", *SMALL[2:]]
    done = own.run(*arguments, "--data", "data")
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Downloading data")]
    about = "error: " if command == "evaluate" else "error: --backbone: "
    assert (done.returncode, done.stdout) == (1, "")
    assert lines == [
        f"{about}{tag} was made by a newer version of this project: its metadata has schema 3, this version reads up "
        "to 2; use the newer version, or train the model again with this one"
    ]
    assert not (own.root / "run").exists()


def told(own: Sandbox, *arguments: object) -> str:
    """Run a command that fails and return its only line."""
    done = own.run(*arguments)
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("Downloading data")]
    assert (done.returncode, done.stdout) == (1, "")
    return line


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"image_policy: \d+", "image_policy: 1", "was trained on images decoded by policy 1, this code decodes by"),
        (r"class_names:", "names:", "was not made by this project's training: its metadata names no classes"),
        (r"(?s).*", "{", "can't be read"),
    ],
)
def test_a_model_that_cannot_be_evaluated_is_refused_in_one_line(
    own: Sandbox, pattern: str, replacement: str, message: str
) -> None:
    """Kind: one function opens a stored model, and says what is wrong with it."""
    tag = place(own.root / "home")
    file = own.root / "home" / "models" / tag.replace(":", "/") / "model.yaml"
    file.write_text(re.sub(pattern, replacement, file.read_text(), count=1))
    line = told(own, "evaluate", tag, "--data", "data")
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "has no model.onnx; pass --runtime onnx-int8 or keras"), ("no model", "model.onnx can't be read: ")],
)
def test_a_form_that_is_missing_or_damaged_is_named_in_one_line(
    own: Sandbox, content: str | None, message: str
) -> None:
    """The kind: a damaged store entry ends a command with a traceback."""
    tag = place(own.root / "home")
    file = own.root / "home" / "models" / tag.replace(":", "/") / "model.onnx"
    file.unlink() if content is None else file.write_text(content)
    line = told(own, "evaluate", tag, "--data", "data")
    assert line.startswith("error: ")
    assert message in line


def test_files_whose_names_are_not_utf_8_are_evaluated(own: Sandbox) -> None:
    """Kind: names that aren't UTF-8, and a folder that is named by a dot, reach every report."""
    tag = place(own.root / "home")
    folder = own.root / "data" / "red"
    os.rename(folder / "000.png", os.fsencode(folder) + b"/caf\xe9.png")
    (folder / "broken.png").write_bytes(b"x")
    os.rename(folder / "broken.png", os.fsencode(folder) + b"/broken\xe9.png")
    done = own.run("evaluate", tag, "--data", "./data/.", "--out", "tested")
    assert done.returncode == 0, done.stderr
    found = json.loads((own.root / "tested" / "metrics.json").read_text())
    assert found["data"]["name"] == "data"
    assert [entry["file"] for entry in found["data"]["rejected"]] == ["red/broken\\xe9.png"]


def test_a_built_in_data_set_is_evaluated(own: Sandbox) -> None:
    tag = place(own.root / "home")
    done = own.run("evaluate", tag, "--data", "digits")
    assert "digits has no test images of its own" in done.stderr
    assert done.stderr.splitlines()[-1].endswith("/digits/0 is no class of the training data; known: blue, green, red")
