"""The HPA follows the load by CPU, up and down again, and nothing is lost meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.cluster.target import Target
from tests.cluster.waiting import eventually

# A pod at rest uses less than a tenth of this, one under half the probe's rate more than all of it.
SCALING = {
    "enabled": True,
    "minReplicas": 1,
    "maxReplicas": 3,
    "targetCPUUtilizationPercentage": 40,
    # The default waits for five minutes, so that a short lull costs nothing.
    "behavior": {
        "scaleDown": {
            "stabilizationWindowSeconds": 10,
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        }
    },
}


def test_the_autoscaler_adds_pods_under_load_and_takes_them_away_after_it(
    target: Target, figure: Callable[[str], None]
) -> None:
    def ready(replicas: int) -> bool:
        deployment = target.release.cluster.get("deployment", target.release.fullname, "-n", target.release.namespace)
        return bool(deployment["status"].get("readyReplicas", 0) == replicas)

    target.release.upgrade(target.values | {"autoscaling": SCALING})
    eventually(lambda: ready(1), "one pod at rest", patience=240)
    with target.probe() as probe:
        begun = time.monotonic()
        eventually(lambda: ready(2) or ready(3), "a second pod", patience=240)
        took = time.monotonic() - begun
        eventually(lambda: ready(3), "three pods", patience=240)
    with target.probe(rate=1) as after:
        eventually(lambda: ready(1), "one pod again", patience=240)
    assert not probe.verdict.failures, str(probe.verdict)
    assert not after.verdict.failures, str(after.verdict)
    figure(f"{took:.0f} s from load to the second ready pod; {len(probe.verdict.requests)} requests, 0 failed")
