"""A folder of results belongs to one command, and to one process at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from training import folders
from training.errors import FolderInUse, UsageError

MARKS = {"train": "config.toml", "tune": "study.db", "check": "check.json", "evaluate": "metrics.json"}


@pytest.fixture
def used(tmp_path: Path) -> Iterator[Path]:
    """A folder that another process uses."""
    folder = tmp_path / "run"
    code = (
        "import sys; from pathlib import Path; from training import folders\n"
        "with folders.claimed(Path(sys.argv[1]), 'train'): print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield folder
        process.communicate()


@pytest.mark.parametrize("command", MARKS)
def test_two_processes_never_use_one_folder(used: Path, command: str) -> None:
    """The kind: two runs write each other's files, and publish each other's model."""
    with pytest.raises(FolderInUse, match=f"another process uses {used}"), folders.claimed(used, command):
        pytest.fail("both use it")


def test_trainings_of_the_same_second_get_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = {folders.new_run() for _ in range(20)}
    assert len(made) == 20
    assert all(folder.is_dir() for folder in made)


@pytest.mark.parametrize(("theirs", "ours"), list(permutations(MARKS, 2)))
def test_no_command_writes_into_the_folder_of_another(tmp_path: Path, theirs: str, ours: str) -> None:
    """The kind: `evaluate --out RUN` writes over the run's report, and the run can't be resumed."""
    (tmp_path / MARKS[theirs]).touch()
    with pytest.raises(UsageError, match=f"holds the results of `{theirs}`"), folders.claimed(tmp_path, ours):
        pytest.fail("it was claimed")
    assert [path.name for path in tmp_path.iterdir()] == [MARKS[theirs]]


def test_a_folder_in_which_nothing_was_written_is_removed_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with folders.claimed(folder, "train"):
        assert folder.is_dir()
    assert not folder.exists()


def test_the_lock_of_a_killed_process_is_void(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    with folders.claimed(tmp_path, "train"):
        (tmp_path / "config.toml").touch()
    assert folders.owner(tmp_path) == "train"
