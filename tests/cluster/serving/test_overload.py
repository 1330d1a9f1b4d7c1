"""Load of three times the pods' capacity, as clients behind the gateway and a Prometheus in the cluster see it."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.cluster import models, prometheus
from tests.cluster.conftest import a_namespace
from tests.cluster.kubectl import Cluster
from tests.cluster.product import Product, Release
from tests.cluster.prometheus import Prometheus
from tests.cluster.target import Target, behind_the_gateway
from tests.cluster.waiting import eventually
from tests.slow_model import write_slow_entry
from tests.stored import picture

HOST = "busy.example.test"
MILLISECONDS = 20
# Two such pods leave a core for the gateway and the probe.
RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "500m", "memory": "1Gi"}}
SECONDS = 30


@pytest.fixture(scope="module")
def busy(
    cluster: Cluster, product: Product, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """Yield a release with a slow model from the registry."""
    if not cluster.http:
        pytest.skip("GATEWAY_HTTP names no gateway")
    folder = tmp_path_factory.mktemp("slow")
    model = models.published(cluster, write_slow_entry(folder / "entry", MILLISECONDS), folder / "home", "slow")
    with a_namespace(cluster, request, "overload") as name:
        release = Release(cluster, name)
        target = behind_the_gateway(release, product, HOST, model=model, resources=RESOURCES)
        target.install()
        yield dataclasses.replace(target, image=picture("red", "JPEG"), expected="red")


@pytest.fixture(scope="module")
def watching(busy: Target, product: Product, tmp_path_factory: pytest.TempPathFactory) -> Prometheus:
    image = prometheus.image(product.registry, tmp_path_factory.mktemp("prometheus"))
    return prometheus.start(busy.release, image, prometheus.rules(busy.release))


def test_prometheus_finds_every_pod_by_the_headless_service(busy: Target, watching: Prometheus) -> None:
    addresses = {f"{pod['status']['podIP']}:3001" for pod in busy.release.pods()}
    assert len(addresses) == 2
    eventually(
        lambda: {each["metric"]["pod"] for each in watching.query("image_classifier_ready == 1")} == addresses,
        "both pods' metrics",
    )


def test_under_overload_clients_get_429_or_503_no_pod_restarts_and_an_alert_fires(
    busy: Target, watching: Prometheus, figure: Callable[[str], None]
) -> None:
    possible = capacity(busy)
    with busy.probe(rate=3 * possible) as probe:
        eventually(lambda: watching.alerts().get("ImageClassifierShedding") == "firing", "the alert", patience=SECONDS)
        probe.until(round(3 * possible * SECONDS))
    over = time.monotonic()
    verdict = probe.verdict
    assert {request.status for request in verdict.requests} <= {200, 429, 503}, str(verdict)
    refused = verdict.answered(429) + verdict.answered(503)
    assert len(refused) > len(verdict.requests) / 10, str(verdict)
    assert all(int(request.retry_after) > 0 for request in refused)
    reasons = Counter(json.loads(request.detail.partition(": ")[2])["code"] for request in refused)
    assert set(reasons) <= {"queue_full", "deadline_exceeded", "overloaded"}, reasons
    goodput = len(verdict.answered(200)) / SECONDS
    # This is a sanity bound: refusing costs CPU too, and other work shares the machine.
    assert goodput > possible / 3, f"{goodput:.0f}/s of {possible:.0f}/s"

    time.sleep(max(0.0, over + 5 - time.monotonic()))
    with busy.probe(rate=possible / 4) as after:
        time.sleep(10)
    assert not after.verdict.failures, str(after.verdict)
    eventually(lambda: "ImageClassifierShedding" not in watching.alerts(), "the alert's end")
    for pod in busy.release.pods():
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    events = busy.release.cluster.kubectl("-n", busy.release.namespace, "get", "events")
    assert "Liveness probe failed" not in events
    figure(f"{goodput:.0f}/s answered of {possible:.0f}/s at {3 * possible:.0f}/s sent; refused: {dict(reasons)}")


def capacity(target: Target) -> float:
    """Return the answers per second that clients get if they wait for each one."""
    seconds, clients = 5.0, 16
    until = time.monotonic() + seconds
    answered = Counter[int]()

    def ask() -> None:
        with httpx.Client(headers={"Host": target.host}) as client:
            while time.monotonic() < until:
                url = f"{target.release.cluster.http}/predict"
                answered[client.post(url, files={"file": ("x", target.image)}).status_code] += 1

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answered) == {200}, answered
    return answered[200] / seconds


def test_every_panel_of_the_dashboard_has_data(busy: Target, watching: Prometheus) -> None:
    # The other tests of this file send neither a broken image nor the same image twice to a cache.
    busy.release.upgrade(busy.values | {"settings": {"cacheSize": 100}})
    url = f"{busy.release.cluster.http}/predict"
    for image, status in ((busy.image, 200), (b"no image", 415)) * 20:
        answer = httpx.post(url, headers={"Host": busy.host}, files={"file": ("x", image)})
        assert answer.status_code == status, answer.text
    # A rate needs two scrapes.
    time.sleep(4)
    asked = prometheus.panels(busy.release)
    assert len(asked) > 15
    assert not [f"{title}: {query}" for query, title in asked.items() if not has_data(watching.query(query))]


def has_data(series: list[dict[str, object]]) -> bool:
    return any(sample["value"][1] != "NaN" for sample in series)  # type: ignore[index]
