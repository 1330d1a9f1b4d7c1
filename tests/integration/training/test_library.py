"""The interface for Python: `from training import Config, train`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.folders import write_tree
from tests.integration.training.conftest import Sandbox


def run_script(root: Path, text: str) -> subprocess.CompletedProcess[str]:
    (root / "script.py").write_text(text)
    command = [sys.executable, "script.py"]
    return subprocess.run(
        command, cwd=root, env=Sandbox(root).environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_example_of_the_documentation_trains_and_publishes(tmp_path: Path) -> None:
    write_tree(tmp_path / "photos", {"red": 50, "blue": 50})
    (example,) = re.findall(r"```python\n(.*?)```", Path("docs/training.md").read_text(), re.DOTALL)
    small = "epochs=2, image_size=16, depth=1, width=8, dense=0"
    done = run_script(tmp_path, example.replace("epochs=5", small))
    assert done.returncode == 0, done.stderr
    tag, report, accuracy = done.stdout.split()
    assert Sandbox(tmp_path).stored()[0].name == tag.partition(":")[2]
    assert (tmp_path / report).exists()
    assert 0 <= float(accuracy) <= 1


@pytest.mark.parametrize("pause", [0, 5])
def test_a_script_without_a_guard_ends_with_one_line(tmp_path: Path, pause: float) -> None:
    """Also where the first decoder process has ended before the second is started.

    Kind: a process that we start never runs the caller's script; where it would, one line says what to do.
    """
    write_tree(tmp_path / "photos", {"red": 70, "blue": 70})
    script = f"""
import time
from concurrent.futures import ProcessPoolExecutor
from training import Config, TrainingError, train
submit = ProcessPoolExecutor.submit
def submit_and_pause(*arguments):
    future = submit(*arguments)
    time.sleep({pause})
    return future
ProcessPoolExecutor.submit = submit_and_pause
try:
    train(Config(data="photos", decoders=2))
except TrainingError as error:
    print(error)
"""
    done = run_script(tmp_path, script)
    assert done.stderr == ""
    assert done.stdout == (
        "the script that calls a training runs it in each decoder process too; put the call below "
        "if __name__ == '__main__':\n"
    )
