"""The number of running pods stays as it is when an autoscaler takes over from a fixed number, and back."""

from __future__ import annotations

import pytest

from tests.chart.conftest import helm_path
from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import serving
from tests.integration.k8s.releases.test_scaled_by_hand import replicas
from tests.kubeapi.server import KubeApi


def counts(api: KubeApi) -> set[int]:
    """Return the set that collects each number of pods that the Deployment asks for after a request."""
    seen: set[int] = set()

    def see(method: str, path: str) -> None:
        found = api.objects.get("deployments", "demo-image-classifier")
        if found:
            seen.add(int(found["spec"].get("replicas", 1)))

    api.on_request = see
    return seen


def test_enabling_an_autoscaler_keeps_the_pods_that_run(release: Run, k8s: Run, api: KubeApi) -> None:
    """Kind: a field that helm drops falls back to Kubernetes' default, here 1 pod under the traffic of 4."""
    assert release("1", "--set", "replicaCount=4").code == 0
    seen = counts(api)
    done = release("1", "--set", "autoscaling.enabled=true")
    assert done.code == 0, done.err
    assert release("2").code == 0
    assert seen == {4}
    assert release("3", "--set", "autoscaling.enabled=false").code == 0
    assert k8s("rollback", "demo").code == 0
    assert (replicas(api), serving(api), seen) == (4, {"reg.local/ic:2"}, {4})


def test_helm_3_which_cannot_keep_them_is_refused(release: Run, api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM", helm_path("3"))
    assert release("1", "--set", "replicaCount=4").code == 0
    done = release("1", "--set", "autoscaling.enabled=true")
    assert done.code == 1
    assert "Helm 3 would leave one of the 4 pods of server until the autoscaler acts" in done.error
    assert replicas(api) == 4
    assert release("1", "--set", "replicaCount=1").code == 0
    assert release("1", "--set", "autoscaling.enabled=true").code == 0
