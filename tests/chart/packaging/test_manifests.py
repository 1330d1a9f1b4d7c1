"""k8s/manifests is rendered from the chart, so that the Deployment is written only once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chart.conftest import ROOT, helm_path
from tests.chart.manifests import Manifests

FILE = ROOT / "k8s/manifests/image-classifier.yaml"


@pytest.mark.parametrize("major", ["3", "4"])
def test_the_manifests_are_what_the_chart_renders(tmp_path: Path, major: str) -> None:
    command = [sys.executable, "-m", "k8s", "manifests", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"HELM": helm_path(major)}, check=True)
    new, kept = (Manifests.parse(path.read_text()).objects for path in (tmp_path / FILE.name, FILE))
    assert new == kept, "run: make manifests"


def test_the_manifests_work_without_helm() -> None:
    manifests = Manifests.parse(FILE.read_text())
    assert "Pod" not in manifests.kinds
    assert all("namespace" not in item["metadata"] for item in manifests.objects)
    assert not any("helm.sh/hook" in item["metadata"].get("annotations", {}) for item in manifests.objects)
