"""A small folder of images, and one real run of `python -m training` on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests import preloaded
from tests.folders import write_tree
from tests.once import once

SMALL = ["--image-size", "16", "--depth", "1", "--width", "8", "--dense", "0"]
"""A network that trains in one second; a run takes ten, because TensorFlow takes the others to start."""


@dataclass(frozen=True)
class Sandbox:
    """A cache, a model store and a working folder for one test or module."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "BENTOML_HOME": str(self.root / "home"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "PYTHONPATH": os.getcwd(),
            # A download must fail at once, here as on a closed network.
            "https_proxy": "http://127.0.0.1:9",
            **self.variables,
        }

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        words = list(map(str, arguments))
        if self.python == sys.executable and not self.variables.keys() & {"KERAS_BACKEND"}:
            return preloaded.start(words, self.root, self.environment)
        return subprocess.Popen(
            [self.python, "-m", "training", *words],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=300)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def stored(self, name: str = "image_classifier") -> list[Path]:
        models = self.root / "home" / "models" / name
        return [entry for entry in models.iterdir() if entry.is_dir()] if models.exists() else []


Run = tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return Sandbox(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="session")
def jax(sandbox: Sandbox) -> Sandbox:
    """A sandbox for JAX, whose runs share compiled code."""
    variables = {
        "KERAS_BACKEND": "jax",
        "JAX_COMPILATION_CACHE_DIR": str(sandbox.root / "xla"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }
    return replace(sandbox, variables=variables)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, with its images, its store and what it printed. Tests only read it."""
    return once(tmp_path_factory, "trained", _train)


def _train(root: Path) -> None:
    """Train on unequal classes with a duplicate, a label conflict, and two files that are no images."""
    data = write_tree(root / "data", {"red": 60, "green": 24, "blue": 24})
    (data / "red" / "readme.txt").write_text("not an image")
    png = (data / "red" / "000.png").read_bytes()
    (data / "red" / "cut.png").write_bytes(png[:-200])
    (data / "red" / "no-extension").write_bytes(png)
    (data / "blue" / "conflict.png").write_bytes((data / "green" / "000.png").read_bytes())
    done = Sandbox(root).run("--data", "data", "--out", "run", "--epochs", 12, *SMALL)
    assert done.returncode == 0, done.stderr
    (root / "said.json").write_text(json.dumps([done.stdout, done.stderr]))


@pytest.fixture(scope="session")
def data(sandbox: Sandbox, trained: Path) -> Path:
    """The images of `trained`, beside a copy of its run; the sandbox's store has its model."""
    for name in ("data", "run", "home"):
        shutil.copytree(trained / name, sandbox.root / name, dirs_exist_ok=True)
    return sandbox.root / "data"


@pytest.fixture(scope="session")
def run(data: Path, trained: Path) -> Run:
    """One complete run: its folder, its metrics and its output."""
    out = data.with_name("run")
    done = subprocess.CompletedProcess([], 0, *json.loads((trained / "said.json").read_text()))
    return out, json.loads((out / "metrics.json").read_text()), done
