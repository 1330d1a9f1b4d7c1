"""Make environments for programs that can't be installed into the project's own; a lock file describes each."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path


def environment(requirements: Path) -> Path:
    """Return the Python of the environment that the lock file `requirements` describes; create it if it is missing."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "image-classifier" / "environments"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{requirements.stem}-{digest}"
    python = folder / "bin" / "python"
    with (cache / f"{requirements.stem}.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            sys.stderr.write(f"installing {requirements.stem} and its dependencies into {folder}\n")
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            quietly = ("--quiet", "--disable-pip-version-check", "--require-hashes")
            subprocess.run([python, "-m", "pip", "install", *quietly, "-r", requirements], check=True)
            (folder / "installed").touch()
    return python
