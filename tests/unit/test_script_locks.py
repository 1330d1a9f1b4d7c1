"""Scripts that wait for another process say so."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("command", "lock"),
    [
        (["scripts/wheel", "helm-4"], "wheel.lock"),
        (["scripts/build-tools", "scripts/tools/kubeconform"], "tools-kubeconform.lock"),
    ],
)
def test_a_script_names_the_lock_that_it_waits_for(tmp_path: Path, command: list[str], lock: str) -> None:
    """The kind: a command that waits for another process in silence looks as if it hung."""
    path = tmp_path / "image-classifier" / lock
    path.parent.mkdir()
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
        assert process.stderr
        said = process.stderr.readline()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert said.rstrip().endswith(f"lock: {path}")
    assert "waiting for another process" in said


def test_no_script_waits_for_a_lock_in_silence() -> None:
    scripts = [path for folder in ("scripts", "containers", ".ci") for path in Path(folder).iterdir() if path.is_file()]
    waits = [line for path in scripts for line in path.read_text().splitlines() if line.startswith("flock ")]
    assert len(waits) >= 3
    assert all(line.startswith("flock --nonblock") and "waiting for" in line for line in waits)
