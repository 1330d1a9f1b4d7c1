"""The chart as an artefact: packaged, pushed to a real OCI registry, and used from there."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.chart.conftest import CHART, ROOT, ChartError, run_helm
from tests.chart.manifests import Manifests

VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run_helm("package", str(CHART), "--destination", str(folder))
    return folder / f"image-classifier-{VERSION}.tgz"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of Debian's docker-registry on the loopback."""
    binary = shutil.which("docker-registry")
    if binary is None:
        pytest.skip("docker-registry is not installed")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = {"version": 0.1, "http": {"addr": address}, "storage": {"filesystem": {"rootdirectory": str(folder)}}}
    (folder / "config.yml").write_text(yaml.safe_dump(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([binary, "serve", folder / "config.yml"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            host, port = address.split(":")
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
                break
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def pushed(package: Path, registry: str) -> str:
    """The chart's address in the registry."""
    run_helm("push", str(package), f"oci://{registry}/charts", "--plain-http")
    return f"oci://{registry}/charts/image-classifier"


def test_the_package_holds_the_chart_its_files_and_profiles_and_nothing_else(package: Path) -> None:
    with tarfile.open(package) as archive:
        names = {name.removeprefix("image-classifier/") for name in archive.getnames()}
    own = {path.relative_to(CHART).as_posix() for path in CHART.rglob("*") if path.is_file()}
    assert names == own - {".helmignore"} | (names & {".helmignore"})
    assert {"files/classify.py", "files/dashboard.json", "values-prod.yaml", "values.schema.json"} <= names


def test_the_chart_s_version_is_the_project_s() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'\nversion = "{chart["appVersion"]}"\n' in project


@pytest.mark.parametrize("major", ["3", "4"])
def test_what_comes_from_the_registry_renders_as_what_went_in(pushed: str, major: str) -> None:
    arguments = ["--namespace", "ml"]
    remote = run_helm("template", "web", pushed, "--version", VERSION, "--plain-http", *arguments, major=major)
    local = run_helm("template", "web", str(CHART), *arguments, major=major)
    assert Manifests.parse(remote).objects == Manifests.parse(local).objects


def test_it_is_installed_from_the_registry(pushed: str) -> None:
    printed = run_helm("install", "web", pushed, "--version", VERSION, "--plain-http", "--dry-run=client")
    assert "helm test web" in printed


def test_a_version_that_was_never_pushed_is_not_found(pushed: str) -> None:
    with pytest.raises(ChartError, match=r"not found|could not locate"):
        run_helm("template", "web", pushed, "--version", "9.9.9", "--plain-http")
