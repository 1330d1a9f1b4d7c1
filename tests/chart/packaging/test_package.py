"""The chart is packaged, pushed to a real OCI registry and used from there."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.chart.conftest import CHART, ROOT, ChartError, run_helm
from tests.chart.manifests import Manifests
from tests.registry import running_registry

VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run_helm("package", str(CHART), "--destination", str(folder))
    return folder / f"image-classifier-{VERSION}.tgz"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return HOST:PORT of a running registry."""
    with running_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def pushed(package: Path, registry: str) -> str:
    """Push the chart and return its address in the registry."""
    run_helm("push", str(package), f"oci://{registry}/charts", "--plain-http")
    return f"oci://{registry}/charts/image-classifier"


def test_the_package_contains_exactly_the_files_of_the_chart(package: Path) -> None:
    with tarfile.open(package) as archive:
        names = {name.removeprefix("image-classifier/") for name in archive.getnames()}
    own = {path.relative_to(CHART).as_posix() for path in CHART.rglob("*") if path.is_file()}
    assert names == own - {".helmignore"} | (names & {".helmignore"})
    assert {"files/classify.py", "files/dashboard.json", "values-prod.yaml", "values.schema.json"} <= names


def test_the_chart_has_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'\nversion = "{chart["appVersion"]}"\n' in project


@pytest.mark.parametrize("major", ["3", "4"])
def test_the_chart_from_the_registry_renders_like_the_local_chart(pushed: str, major: str) -> None:
    arguments = ["--namespace", "ml"]
    remote = run_helm("template", "web", pushed, "--version", VERSION, "--plain-http", *arguments, major=major)
    local = run_helm("template", "web", str(CHART), *arguments, major=major)
    assert Manifests.parse(remote).objects == Manifests.parse(local).objects


def test_the_chart_can_be_installed_from_the_registry(pushed: str) -> None:
    printed = run_helm("install", "web", pushed, "--version", VERSION, "--plain-http", "--dry-run=client")
    assert "helm test web" in printed


def test_a_version_that_was_never_pushed_is_not_found(pushed: str) -> None:
    with pytest.raises(ChartError, match=r"not found|could not locate"):
        run_helm("template", "web", pushed, "--version", "9.9.9", "--plain-http")
