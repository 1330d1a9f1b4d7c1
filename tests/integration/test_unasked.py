"""Nothing of ours talks to anybody unasked, nor leaves a file that no page speaks of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_import_rules import packages

UNSHARE = ("unshare", "--net", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)))
DOCUMENTED = ("bentoml/", "run/", ".cache/image-classifier/", ".cache/matplotlib/", ".keras/")
"""Folders of a home that docs/training.md names; `run` is that of `--out`."""


REPORTING = {"onnxruntime", "bentoml", "_bentoml_sdk", "_bentoml_impl"}


def packages_that_load_reporting_libraries() -> set[str]:
    folders = [path.parent for path in Path().glob("*/__init__.py")]
    return {folder.name for folder in folders if any(packages(path) & REPORTING for path in folder.rglob("*.py"))}


def test_serving_and_training_look_up_no_name_and_leave_no_other_files(tmp_path: Path) -> None:
    """A dependency that begins to report, to whomever and by whatever library, fails this test."""
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make namespaces")
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-m", "tests.isolated", str(tmp_path)], capture_output=True, text=True, check=False
    )
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert done.returncode == 0, done.stderr + logs
    assert (tmp_path / "lookups").read_text() == "", logs
    home = tmp_path / "home"
    files = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    assert {file for file in files if not file.startswith(DOCUMENTED)} == set()
    assert any(file.startswith("run/") for file in files)


def test_every_package_that_loads_a_reporting_library_switches_its_reports_off_first() -> None:
    found = packages_that_load_reporting_libraries()
    assert {"bento", "training", "benchmarks"} <= found
    for package in found:
        assert "usage_reports.switch_off()" in Path(package, "__init__.py").read_text(), package
