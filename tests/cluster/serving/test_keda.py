"""The chart's ScaledObject works with a real KEDA, which queries a real Prometheus about pods and gateway."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.cluster import keda, models, prometheus
from tests.cluster.conftest import a_namespace
from tests.cluster.kubectl import Cluster
from tests.cluster.product import Product, Release
from tests.cluster.target import RESOURCES, Target, behind_the_gateway
from tests.cluster.waiting import eventually
from tests.slow_model import write_slow_entry
from tests.stored import picture

pytestmark = pytest.mark.skipif(
    os.environ.get("KEDA") != "1",
    reason="KEDA=1 runs it: it builds KEDA, which takes some seven minutes the first time",
)

HOST = "scaled.example.test"
LEAST, FALLBACK, MOST = 1, 2, 3
MILLISECONDS = 20
SLOW = RESOURCES | {"limits": {"cpu": "500m", "memory": "1Gi"}}
# More requests/s than one such pod can answer, so that more images than KEDA's threshold are in flight.
TOO_MUCH = 60.0
LITTLE = 2.0
# The default waits for five minutes, so that a short lull costs nothing.
SOON = {"stabilizationWindowSeconds": 10, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


@dataclasses.dataclass(frozen=True)
class Scaled:
    """A release with a slow model, which KEDA scales, and the Prometheus that KEDA queries."""

    target: Target
    prometheus_image: str

    @property
    def here(self) -> tuple[str, str]:
        return "-n", self.target.release.namespace

    def get(self, kind: str, name: str) -> Any:
        return self.target.release.cluster.get(kind, name, *self.here)

    def ready(self) -> int:
        return int(self.get("deployment", self.target.release.fullname)["status"].get("readyReplicas", 0))

    def pods(self) -> int:
        return len(self.target.release.pods())

    def falls_back(self) -> bool:
        conditions = self.get("scaledobject", self.target.release.fullname)["status"]["conditions"]
        return any(each["type"] == "Fallback" and each["status"] == "True" for each in conditions)

    def watch(self) -> None:
        prometheus.start(self.target.release, self.prometheus_image, {"groups": []}, envoy(self.target.release.cluster))

    @contextlib.contextmanager
    def unwatched(self) -> Iterator[None]:
        self.target.release.cluster.kubectl(*self.here, "delete", "pod", "prometheus", "--now")
        try:
            yield
        finally:
            self.watch()


@pytest.fixture(scope="module")
def installed(
    cluster: Cluster, product: Product, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scaled]:
    if not cluster.http:
        pytest.skip("GATEWAY_HTTP names no gateway")
    folder = tmp_path_factory.mktemp("keda")
    image = prometheus.image(product.registry, folder)
    model = models.published(cluster, write_slow_entry(folder / "entry", MILLISECONDS), folder / "home", "slow")
    with keda.running(cluster, folder), a_namespace(cluster, request, "keda") as name:
        changed = {
            "model": model,
            "resources": SLOW,
            "keda": by_default(name),
            "autoscaling": {"behavior": {"scaleDown": SOON}},
        }
        target = behind_the_gateway(Release(cluster, name), product, HOST, **changed)
        scaled = Scaled(dataclasses.replace(target, image=picture("red", "JPEG"), expected="red"), image)
        # Prometheus must start first, or the autoscaler would begin with its fallback.
        scaled.watch()
        scaled.target.install()
        yield scaled


@pytest.fixture
def scaled(installed: Scaled) -> Scaled:
    """Return the release at rest, with its minimum of pods."""
    installed.target.restore()
    eventually(lambda: installed.pods() == installed.ready() == LEAST, "the least pods", patience=240)
    return installed


def by_default(namespace: str) -> dict[str, Any]:
    """Return values with the chart's own query and threshold, and times shorter than its defaults."""
    return {
        "enabled": True,
        "minReplicas": LEAST,
        "maxReplicas": MOST,
        "pollingInterval": 2,
        "cooldownPeriod": 5,
        "serverAddress": f"http://prometheus.{namespace}.svc:9090",
        "fallback": {"failureThreshold": 2, "replicas": FALLBACK},
    }


def envoy(cluster: Cluster) -> dict[str, Any]:
    """Return the scrape configuration of the gateway, with the port and path that Contour documents."""
    pods = cluster.get("pods", "-n", "projectcontour", "-l", "app=envoy")["items"]
    addresses = [f"{pod['status']['podIP']}:8002" for pod in pods]
    return {"job_name": "envoy", "metrics_path": "/stats/prometheus", "static_configs": [{"targets": addresses}]}


def scale_to_zero(scaled: Scaled) -> None:
    """Scale to zero as docs/kubernetes.md describes, with a query that also counts requests which found no pod."""
    name = f"{scaled.target.release.namespace}_{scaled.target.release.fullname}_80"
    query = f'sum(rate(envoy_cluster_upstream_rq_completed{{envoy_cluster_name="{name}"}}[20s]))'
    values = scaled.target.values
    to_zero = {"minReplicas": 0, "query": query, "threshold": "1000"}
    scaled.target.release.upgrade(values | {"keda": values["keda"] | to_zero})
    eventually(lambda: scaled.pods() == 0, "no pod", patience=240)


def test_load_adds_pods_and_its_end_removes_them(scaled: Scaled, figure: Callable[[str], None]) -> None:
    (metric,) = scaled.get("hpa", f"keda-hpa-{scaled.target.release.fullname}")["spec"]["metrics"]
    assert metric["type"] == "External"
    with scaled.target.probe(rate=TOO_MUCH):
        begun = time.monotonic()
        eventually(lambda: scaled.ready() > LEAST, "another pod", patience=240)
        first = time.monotonic() - begun
        eventually(lambda: scaled.ready() == MOST, "the most pods", patience=240)
        all_of_them = time.monotonic() - begun
    begun = time.monotonic()
    with scaled.target.probe(rate=LITTLE) as after:
        eventually(lambda: scaled.ready() == LEAST, "the least pods again", patience=240)
    assert not after.verdict.failures, str(after.verdict)
    assert not scaled.falls_back()
    figure(
        f"first new pod ready {first:.0f} s after the load began, {MOST} after {all_of_them:.0f} s; "
        f"{LEAST} again {time.monotonic() - begun:.0f} s after it ended"
    )


def test_without_prometheus_it_keeps_the_fallback_number_of_pods(scaled: Scaled) -> None:
    with scaled.unwatched():
        eventually(lambda: scaled.falls_back() and scaled.ready() == FALLBACK, "the fallback's pods", patience=240)
        for _ in range(20):
            assert scaled.ready() == FALLBACK
            time.sleep(1)
    eventually(lambda: not scaled.falls_back() and scaled.ready() == LEAST, "the least pods again", patience=240)


def test_it_scales_to_zero_and_requests_at_the_gateway_bring_it_back(
    scaled: Scaled, figure: Callable[[str], None]
) -> None:
    scale_to_zero(scaled)
    url, headers = f"{scaled.target.release.cluster.http}/predict", {"Host": HOST}
    first = httpx.post(url, headers=headers, files={"file": ("x", scaled.target.image)})
    begun = time.monotonic()
    # Envoy answers itself, without waiting for a pod.
    assert (first.status_code, first.text) == (503, "no healthy upstream")
    assert "Retry-After" not in first.headers
    with scaled.target.probe(rate=LITTLE) as probe:
        eventually(lambda: bool(probe.verdict.answered(200)), "an answer", patience=240)
        woken = time.monotonic() - begun
        probe.until(len(probe.verdict.requests) + 20)
    statuses = [request.status for request in probe.verdict.requests]
    assert set(statuses) == {200, 503}, str(probe.verdict)
    # Once a pod is ready, no request fails.
    assert 503 not in statuses[statuses.index(200) :], str(probe.verdict)
    eventually(lambda: scaled.pods() == 0, "no pod again", patience=240)
    figure(f"an answer {woken:.0f} s after the first request, {statuses.count(503) + 1} got 503 until then")


def test_without_prometheus_the_fallback_works_from_zero_too(scaled: Scaled) -> None:
    scale_to_zero(scaled)
    with scaled.unwatched():
        eventually(lambda: scaled.falls_back() and scaled.ready() == FALLBACK, "the fallback's pods", patience=240)
    eventually(lambda: scaled.pods() == 0, "no pod again", patience=240)
