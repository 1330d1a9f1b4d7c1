"""An upgrade that changes the names of the running objects, by helm itself and by `python -m k8s`."""

from __future__ import annotations

import subprocess

import pytest

from tests.chart.conftest import CHART
from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import serving, statuses
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


def test_a_rollback_to_a_revision_with_other_names_is_refused(
    release: Run, k8s: Run, api: KubeApi, environment: object, helm: str
) -> None:
    assert release("1").code == 0
    # Without the running Deployment, the chart can't notice the new name.
    api.objects.delete("deployments", "demo-image-classifier")
    assert release("2", "--set", "fullnameOverride=birds").code == 0
    before = statuses(api)
    for options in ((), ("--dry-run",)):
        refused = k8s("rollback", "demo", *options)
        assert refused.code == 1
        assert WARNING in refused.error
        assert "demo-image-classifier" in refused.error
    assert (serving(api), statuses(api)) == ({"reg.local/ic:2"}, before)
