"""`scripts/setup`, with a stand-in for Python: nothing is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PYTHON = """#!/bin/sh
# As `python -m venv --clear` does, it empties the folder that .venv leads to.
[ "$2" = venv ] || exit 0
mkdir -p .venv && rm -rf .venv/* && mkdir .venv/bin
printf '#!/bin/sh\\n' | tee .venv/bin/python > .venv/bin/uv
chmod +x .venv/bin/*
"""


def test_a_linked_environment_is_replaced_and_not_emptied(tmp_path: Path) -> None:
    """The kind: a command that clears a folder clears what a link in its place leads to."""
    shared, checkout = tmp_path / "shared", tmp_path / "checkout"
    for folder in (shared, checkout / "scripts", checkout / "requirements"):
        folder.mkdir(parents=True)
    (shared / "installed").touch()
    (checkout / ".venv").symlink_to(shared)
    (checkout / "requirements" / "dev.txt").touch()
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    setup = shutil.copy("scripts/setup", checkout / "scripts")
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(python)}
    done = subprocess.run([setup], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in shared.iterdir()] == ["installed"]
    assert not (checkout / ".venv").is_symlink()
    assert (checkout / ".venv" / "installed").exists()
