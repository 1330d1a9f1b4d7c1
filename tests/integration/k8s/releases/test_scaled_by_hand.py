"""A field of the chart that somebody has set by hand never keeps a release from being changed, with either Helm."""

from __future__ import annotations

import pytest

from k8s.cluster import connect
from tests.chart.conftest import helm_path
from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import serving
from tests.kubeapi.pods import Fate
from tests.kubeapi.server import KubeApi


@pytest.fixture(scope="session", params=["3", "4"])
def helm(request: pytest.FixtureRequest) -> str:
    """Either Helm, for all fixtures of this module."""
    return helm_path(request.param)


def scale(replicas: int) -> None:
    """Do as `kubectl scale`."""
    cluster = connect(None, None, None)
    patch, spec = cluster.apps.patch_namespaced_deployment, {"spec": {"replicas": replicas}}
    cluster.ask(patch, "demo-image-classifier", cluster.namespace, spec, field_manager="kubectl")


def replicas(api: KubeApi) -> int:
    found = api.objects.get("deployments", "demo-image-classifier")
    assert found is not None
    return int(found["spec"]["replicas"])


def test_a_release_and_a_rollback_after_kubectl_scale_restore_the_charts_number(
    release: Run, k8s: Run, api: KubeApi
) -> None:
    assert release("1").code == 0
    scale(5)
    done = release("2")
    assert done.code == 0, done.err
    assert (replicas(api), serving(api)) == (2, {"reg.local/ic:2"})
    scale(5)
    done = k8s("rollback", "demo")
    assert done.code == 0, done.err
    assert (replicas(api), serving(api)) == (2, {"reg.local/ic:1"})


def test_kubectl_scale_during_a_failing_release_does_not_keep_it_from_being_undone(release: Run, api: KubeApi) -> None:
    assert release("1").code == 0

    scaled = list[bool]()

    def see(method: str, path: str) -> None:
        if method == "PATCH" and path.endswith("/deployments/demo-image-classifier"):
            api.fates["reg.local/ic:2"] = Fate("crash")
        elif path.endswith("/secrets/sh.helm.release.v1.demo.v2") and method == "PUT" and not scaled:
            scaled.append(True)
            scale(3)

    api.on_request = see
    done = release("2")
    assert done.code == 3
    assert done.error.endswith("rolled back to revision 1")
    assert (replicas(api), serving(api)) == (2, {"reg.local/ic:1"})


def test_helm_4_takes_over_a_release_of_helm_3(release: Run, api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM", helm_path("3"))
    assert release("1").code == 0
    monkeypatch.setenv("HELM", helm_path("4"))
    scale(5)
    done = release("2")
    assert done.code == 0, done.err
    assert (replicas(api), serving(api)) == (2, {"reg.local/ic:2"})
