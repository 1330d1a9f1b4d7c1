"""The HPA follows the load by CPU, up and down again, and no request is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity

from tests.cluster.command import start
from tests.cluster.product import Product, Release
from tests.cluster.target import Target
from tests.cluster.waiting import eventually

LEAST, MOST = 2, 4
AT_REST = 1.0
BEHAVIOR = {
    # The default waits for five minutes, so that a short lull costs nothing.
    "scaleDown": {
        "stabilizationWindowSeconds": 10,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    }
}


def ramp(at: float) -> float:
    """Rise from 8 to 80 requests/s in 20 s, then slowly on, since a pod's capacity depends on the machine."""
    return 8 + 3.6 * at if at < 20 else 80 + 0.5 * (at - 20)


def millicores(target: Target) -> int:
    """Return the CPU of the busiest pod at rest, from the metrics that the autoscaler reads."""
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{target.release.namespace}/pods"
    # The metrics of pods that have just been installed still include their start.
    since = datetime.now(UTC) + timedelta(seconds=20)
    used: list[Decimal] = []

    def measured() -> bool:
        pods = json.loads(target.release.cluster.kubectl("get", "--raw", path))["items"]
        used[:] = [1000 * parse_quantity(each["usage"]["cpu"]) for pod in pods for each in pod["containers"]]
        return bool(pods) and all(datetime.fromisoformat(pod["timestamp"]) > since for pod in pods)

    with target.probe(AT_REST):
        eventually(measured, "what the pods use at rest")
    return round(max(used))


def test_the_autoscaler_adds_pods_under_load_and_removes_them_after_it(
    target: Target, figure: Callable[[str], None]
) -> None:
    def ready() -> int:
        deployment = target.release.cluster.get("deployment", target.release.fullname, "-n", target.release.namespace)
        return int(deployment["status"].get("readyReplicas", 0))

    rest = millicores(target)
    scaling = {
        "enabled": True,
        "minReplicas": LEAST,
        "maxReplicas": MOST,
        # The pods request 100 millicores. Twice their use at rest would be enough to scale down from MOST to LEAST.
        "targetCPUUtilizationPercentage": max(25, 3 * rest),
        "behavior": BEHAVIOR,
    }
    target.release.upgrade(target.values | {"autoscaling": scaling})
    eventually(lambda: ready() == LEAST, "the least pods, at rest", patience=240)
    with target.probe(ramp) as probe:
        begun = time.monotonic()
        eventually(lambda: ready() > LEAST, "another pod", patience=240)
        first = time.monotonic() - begun
        eventually(lambda: ready() == MOST, "the most pods", patience=240)
        all_of_them = time.monotonic() - begun
    with target.probe(AT_REST) as after:
        eventually(lambda: ready() == LEAST, "the least pods again", patience=240)
    for verdict in (probe.verdict, after.verdict):
        assert not verdict.failures, str(verdict)
    goodput = len(probe.verdict.answered(200)) / all_of_them
    figure(
        f"{rest} millicores at rest; first new pod ready {first:.0f} s after the ramp began, {MOST} after "
        f"{all_of_them:.0f} s; {goodput:.0f}/s answered, 0 refused of {len(probe.verdict.requests)}"
    )


def test_enabling_the_autoscaler_keeps_the_pods_that_run(release: Release, product: Product) -> None:
    release.install(product.values | {"replicaCount": 3})
    at = ("get", "deployment", release.fullname, "-n", release.namespace, "-o", "jsonpath={.spec.replicas}")
    process = start(
        release,
        "release",
        "--golden=none",
        "--slo=none",
        "--set=autoscaling.enabled=true",
        "--set=autoscaling.minReplicas=3",
    )
    seen: set[str] = set()
    while process.poll() is None:
        seen.add(release.cluster.kubectl(*at))
    assert process.returncode == 0, process.communicate()
    assert min(map(int, seen)) == 3, seen
