"""The commands of `python -m training`, without running one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from training.cli import PROGRAM

LIBRARIES = {"numpy", "rich", "tensorflow", "keras", "bentoml", "matplotlib", "optuna"}


def test_the_help_lists_the_five_commands_and_says_what_bare_options_mean() -> None:
    text = PROGRAM.help()
    assert all(f"\n  {command} " in text for command in ("train", "evaluate", "card", "check", "tune"))
    assert "python -m training --data photos" in text


def test_bare_options_belong_to_train() -> None:
    bare, explicit = (PROGRAM.parse([*words, "--data", "photos", "--epochs", "3"]) for words in ([], ["train"]))
    assert bare == explicit
    assert bare[0].name == "train"
    assert PROGRAM.parse([])[0].name == "train"


def test_an_option_may_be_abbreviated() -> None:
    assert PROGRAM.parse(["--epo", "3"])[1].epochs == 3


def test_the_help_imports_no_library() -> None:
    code = f"import sys; from training.cli import PROGRAM; PROGRAM.help(); print({LIBRARIES} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert PROGRAM.main(["evalute", "image_classifier"]) == 2
    message = "error: there is no command evalute; choose one of train, evaluate, card, check, tune\n"
    assert capsys.readouterr() == ("", message)


def test_a_user_without_a_home_is_told_to_set_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kind: what a machine lacks is shown as a traceback of a library that missed it."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert PROGRAM.main(["--data", "photos"]) == 2
    assert capsys.readouterr() == ("", "error: this user has no home; set HOME to a folder that can be written\n")
