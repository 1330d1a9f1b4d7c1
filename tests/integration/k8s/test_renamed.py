"""An upgrade that changes the names of the running objects, by helm itself and by `python -m k8s`."""

from __future__ import annotations

import subprocess

import pytest

from tests.chart.conftest import CHART
from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import serving
from tests.kubeapi.server import KubeApi

WARNING = "would delete its pods before the new ones are ready"


@pytest.mark.parametrize("change", ["nameOverride=birds", "fullnameOverride=birds"])
def test_new_names_are_refused_while_pods_run(
    release: Run, api: KubeApi, environment: object, helm: str, change: str
) -> None:
    """Helm at once deletes what it no longer renders, so every new name is an outage that it calls a success."""
    assert release("1").code == 0
    refused = release("2", "--set", change)
    assert refused.code == 1
    assert WARNING in refused.error
    command = [helm, "upgrade", "demo", str(CHART), "--reuse-values", "--set", change]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert WARNING in done.stderr
    assert "fullnameOverride=demo-image-classifier" in done.stderr
    assert serving(api) == {"reg.local/ic:1"}
    assert release("2").code == 0
