"""Canary, promotion, abort and rollback: which version serves after each, and with which weight."""

from __future__ import annotations

import json

import pytest

from tests.integration.k8s.clock import Clock
from tests.integration.k8s.conftest import Done, Run
from tests.integration.k8s.records import leftovers, serving, statuses
from tests.kubeapi.server import KubeApi

ROUTED = (
    "--set=httpRoute.enabled=true",
    "--set=httpRoute.parentRefs[0].name=gateway",
    "--set=networkPolicy.gatewayNamespaces[0]=gateways",
    "--set=replicaCount=4",
)


@pytest.fixture
def canary(k8s: Run) -> Run:
    def run(weight: int, *options: str) -> Done:
        return k8s("canary", "demo", "--weight", str(weight), "--slo", "none", *options)

    return run


def weights(api: KubeApi) -> list[int]:
    """Return the weights of the route's backends, the stable one's first."""
    refs = api.objects.all("httproutes")[0]["spec"]["rules"][0]["backendRefs"]
    return [ref.get("weight", 100) for ref in refs]


def test_a_canary_with_an_autoscaler_gets_its_share_once_it_has_the_pods_asked_for(
    release: Run, canary: Run, api: KubeApi, clock: Clock
) -> None:
    assert release("1", *ROUTED, "--set=autoscaling.enabled=true").code == 0
    looks: list[int] = []

    def see(method: str, path: str) -> None:
        own = api.objects.get("deployments", "demo-image-classifier-canary")
        if own and method == "GET" and path.endswith("/replicasets"):
            looks.append(sum(weights(api)[1:]))
            if len(looks) == 4:  # as its autoscaler, which brings it to its minimum
                scaled = own | {"spec": own["spec"] | {"replicas": 3}}
                api.ownership.written("deployments", own, scaled, "kube-controller-manager")
                api.objects.put("deployments", scaled)

    api.on_request = see
    done = canary(20, "--image", "reg.local/ic:2", "--replicas", "3")
    assert done.code == 0, done.err
    assert looks[:4] == [0, 0, 0, 0]
    assert "canary: 1 of 3 updated, 1 available" in done.err


def test_a_canary_gets_its_share_once_its_pods_are_ready(release: Run, canary: Run, api: KubeApi) -> None:
    assert release("1", *ROUTED).code == 0
    seen: list[tuple[list[int], set[str]]] = []

    def see(method: str, path: str) -> None:
        if method == "GET" and path.endswith("/replicasets") and len(api.objects.all("deployments")) == 2:
            seen.append((weights(api), serving(api, "canary")))

    api.on_request = see
    done = canary(30, "--image", "reg.local/ic:2")
    assert done.code == 0, done.err
    assert weights(api) == [70, 30]
    assert ([100, 0], {"reg.local/ic:2"}) in seen
    assert serving(api) == {"reg.local/ic:1"}
    assert serving(api, "canary") == {"reg.local/ic:2"}
    assert len(api.objects.all("pods", "app.kubernetes.io/component=canary")) == 2
    assert leftovers(api) == []

    assert canary(100).code == 0
    assert weights(api) == [0, 100]
    assert len(api.objects.all("pods", "app.kubernetes.io/component=canary")) == 4


def test_a_bad_canary_gets_no_requests(release: Run, canary: Run, api: KubeApi) -> None:
    assert release("1", *ROUTED).code == 0
    done = canary(30, "--image", "reg.local/ic:wrong")
    assert done.code == 3
    assert "golden set: 2 of 2 images differ" in done.error
    assert serving(api, "canary") == set()
    assert weights(api) == [100]


def test_a_promoted_canary_becomes_the_stable_version(release: Run, canary: Run, k8s: Run, api: KubeApi) -> None:
    assert release("1", *ROUTED).code == 0
    assert canary(50, "--image", "reg.local/ic:2").code == 0
    assert k8s("promote", "demo").code == 0
    assert serving(api) == {"reg.local/ic:2"}
    assert serving(api, "canary") == set()
    assert weights(api) == [100]
    # The revisions in between had a canary, so a rollback skips them.
    back = k8s("rollback", "demo", "--output", "json")
    assert json.loads(back.out)["target"] == 1
    assert serving(api) == {"reg.local/ic:1"}


def test_abort_leaves_the_stable_version_alone(release: Run, canary: Run, k8s: Run, api: KubeApi) -> None:
    assert release("1", *ROUTED).code == 0
    assert canary(50, "--image", "reg.local/ic:2").code == 0
    assert k8s("abort", "demo").code == 0
    assert serving(api) == {"reg.local/ic:1"}
    assert weights(api) == [100]
    again = k8s("abort", "demo")
    assert again.code == 0
    assert "there was nothing to abort" in again.out


def test_a_release_is_refused_while_a_canary_is_under_way(release: Run, canary: Run) -> None:
    assert release("1", *ROUTED).code == 0
    assert canary(50, "--image", "reg.local/ic:2").code == 0
    done = release("3")
    assert done.code == 1
    assert done.error == "a canary of demo is under way: promote or abort it first"


def test_without_a_route_the_number_of_canary_pods_sets_the_share(release: Run, canary: Run, api: KubeApi) -> None:
    assert release("1", "--set", "replicaCount=3").code == 0
    assert canary(25, "--image", "reg.local/ic:2").code == 0
    assert len(api.objects.all("pods", "app.kubernetes.io/component=canary")) == 1
    refused = canary(100)
    assert refused.code == 1
    assert "needs httpRoute.enabled" in refused.error


def test_rollback_returns_to_the_given_revision(release: Run, k8s: Run, api: KubeApi) -> None:
    for tag in ("1", "2", "3"):
        assert release(tag).code == 0
    assert k8s("rollback", "demo", "--timeout", "60s", "1").code == 0
    assert serving(api) == {"reg.local/ic:1"}
    wrong = k8s("rollback", "demo", "9")
    assert wrong.code == 1
    assert wrong.error == "demo has no revision 9 (helm history demo --namespace default --kube-context stub)"
    assert k8s("rollback", "demo", "--dry-run").out.strip() == "demo: would roll back to revision 3"
    assert max(statuses(api)) == 4
