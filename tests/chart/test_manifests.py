"""k8s/manifests is the chart's own render: the Deployment is written once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.chart.conftest import ROOT, helm_path
from tests.chart.manifests import Manifests

FILE = ROOT / "k8s/manifests/image-classifier.yaml"


@pytest.mark.parametrize("major", ["3", "4"])
def test_the_manifests_are_what_the_chart_renders(tmp_path: Path, major: str) -> None:
    helm_path(major)
    written = tmp_path / "new.yaml"
    environment = os.environ | {"HELM_MAJOR": major}
    subprocess.run([ROOT / "scripts/manifests", written], env=environment, check=True)
    new, kept = (Manifests.parse(path.read_text()).objects for path in (written, FILE))
    assert new == kept, "run: make manifests"


def test_they_need_no_helm() -> None:
    manifests = Manifests.parse(FILE.read_text())
    assert "Pod" not in manifests.kinds
    assert all("namespace" not in item["metadata"] for item in manifests.objects)
    assert not any("helm.sh/hook" in item["metadata"].get("annotations", {}) for item in manifests.objects)
