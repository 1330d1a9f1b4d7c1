"""The route while a canary is removed: it gets no more requests before its Service goes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import serving
from tests.integration.k8s.releases.test_canary import ROUTED, weights
from tests.kubeapi.server import KubeApi

NAME = "demo-image-classifier"


@pytest.fixture
def changes(release: Run, k8s: Run, api: KubeApi) -> list[list[int]]:
    """Start a canary, and return the list that grows with each change of the route's weights."""
    assert release("1", *ROUTED).code == 0
    assert k8s("canary", "demo", "--weight", "30", "--image", "reg.local/ic:2", "--slo", "none").code == 0
    seen = [[70, 30]]

    def see(method: str, path: str) -> None:
        now = weights(api)
        if now != seen[-1]:
            assert (api.objects.get("services", f"{NAME}-canary") is not None) or len(now) == 1
            seen.append(now)

    api.on_request = see
    return seen


@pytest.mark.parametrize("verb", [("promote",), ("abort",), ("rollback", "1")], ids=lambda verb: verb[0])
def test_no_request_goes_to_a_canary_whose_service_is_deleted(
    k8s: Run, changes: list[list[int]], verb: tuple[str, ...]
) -> None:
    done = k8s(verb[0], "demo", *verb[1:])
    assert done.code == 0, done.err
    assert changes == [[70, 30], [70, 0], [100]]


def test_the_stable_version_gets_the_requests_of_a_canary_that_had_all(
    k8s: Run, api: KubeApi, changes: list[list[int]]
) -> None:
    assert k8s("canary", "demo", "--weight", "100", "--slo", "none").code == 0
    assert k8s("abort", "demo").code == 0
    assert changes == [[70, 30], [0, 100], [100, 0], [100]]


def test_the_service_stays_until_the_gateway_has_seen_the_route(
    k8s: Run, api: KubeApi, changes: list[list[int]]
) -> None:
    route: Any = api.objects.get("httproutes", NAME)
    condition = {"type": "Accepted", "status": "True", "observedGeneration": route["metadata"]["generation"]}
    route["status"] = {"parents": [{"conditions": [condition]}]}
    looks = 0
    looked_at_deletion: list[int] = []

    def gateway(method: str, path: str) -> None:
        nonlocal looks
        if method == "GET" and path.endswith(f"/httproutes/{NAME}") and weights(api) == [70, 0]:
            looks += 1
            if looks == 5:
                condition["observedGeneration"] += 1
        if method == "DELETE" and path.endswith(f"/services/{NAME}-canary"):
            looked_at_deletion.append(looks)

    api.on_request = gateway
    assert k8s("abort", "demo").code == 0
    assert len(looked_at_deletion) == 1
    assert looked_at_deletion[0] >= 5
    assert weights(api) == [100]


def test_an_abort_that_helm_refuses_gives_the_canary_its_share_back(
    k8s: Run, api: KubeApi, changes: list[list[int]]
) -> None:
    done = k8s("abort", "demo", "--set", "replicaCount=many")
    assert done.code == 1
    assert done.error.endswith("; nothing was changed")
    assert changes == [[70, 30], [70, 0], [70, 30]]
    assert serving(api, "canary") == {"reg.local/ic:2"}
