"""No request is lost while the release changes under load."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.cluster.kubectl import Cluster
from tests.cluster.prober import Probe, Verdict
from tests.cluster.product import Product, Release
from tests.cluster.waiting import eventually

HOST = "moving.example.test"
# About half of what two pods of one shared CPU take with the load generator beside them.
RATE = 40.0
Figure = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """A release behind the gateway that is about to be changed."""

    release: Release
    values: dict[str, Any]
    http: str
    image: bytes
    expected: str

    def probe(self) -> Probe:
        return Probe(f"{self.http}/predict", host=HOST, image=self.image, expected=self.expected, rate=RATE)


@pytest.fixture
def target(cluster: Cluster, release: Release, product: Product) -> Target:
    route = {
        "enabled": True,
        "parentRefs": [{"name": "contour", "namespace": "projectcontour"}],
        "hostnames": [HOST],
    }
    resources = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    values = product.values | {"httpRoute": route, "resources": resources}
    release.install(values)

    def routed() -> bool:
        return httpx.get(f"{cluster.http}/readyz", headers={"Host": HOST}).status_code == 200

    eventually(routed, "a route to the service")
    expected, image = next(iter(product.golden.items()))
    return Target(release, values, cluster.http, image, expected)


def settled(verdict: Verdict, least: int, figure: Figure) -> None:
    """Every request was answered right, and there were enough to tell."""
    assert not verdict.failures, str(verdict)
    assert len(verdict.requests) >= least, str(verdict)
    figure(str(verdict).partition("\nat ")[0].replace("\n", ", "))


def test_a_changed_setting_and_the_way_back_lose_nothing(target: Target, figure: Figure) -> None:
    with target.probe() as probe:
        time.sleep(5)
        target.release.upgrade(target.values | {"settings": {"queueLimit": 128}})
        target.release.helm("rollback", target.release.name, "1", "--wait", "--timeout=180s")
        time.sleep(5)
    settled(probe.verdict, least=1000, figure=figure)


def test_a_deleted_pod_loses_nothing(target: Target, figure: Figure) -> None:
    with target.probe() as probe:
        time.sleep(3)
        (gone, *_) = target.release.pods()
        namespace, name = target.release.namespace, gone["metadata"]["name"]
        target.release.cluster.kubectl("-n", namespace, "delete", "pod", name, "--wait")
        deployment = f"deployment/{target.release.fullname}"
        target.release.cluster.kubectl("-n", namespace, "rollout", "status", deployment, "--timeout=120s")
        time.sleep(3)
    settled(probe.verdict, least=300, figure=figure)


def test_a_drained_node_loses_nothing(target: Target, figure: Figure) -> None:
    kubectl = target.release.cluster.kubectl
    try:
        with target.probe() as probe:
            time.sleep(3)
            kubectl("drain", "node-2", "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s")
            time.sleep(3)
    finally:
        kubectl("uncordon", "node-2")
    settled(probe.verdict, least=300, figure=figure)


def test_scaling_up_and_down_loses_nothing(target: Target, figure: Figure) -> None:
    with target.probe() as probe:
        time.sleep(3)
        for replicas in (4, 1, 2):
            target.release.upgrade(target.values | {"replicaCount": replicas})
        time.sleep(3)
    settled(probe.verdict, least=500, figure=figure)
