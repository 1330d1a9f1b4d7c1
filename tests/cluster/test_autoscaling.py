"""The HPA follows the load by CPU, up and down again, and nothing is lost meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.cluster.target import Target
from tests.cluster.waiting import eventually

LEAST, MOST = 2, 4
# A pod at rest uses less than a tenth of its request, one under half the load more than this.
SCALING = {
    "enabled": True,
    "minReplicas": LEAST,
    "maxReplicas": MOST,
    "targetCPUUtilizationPercentage": 25,
    # The default waits for five minutes, so that a short lull costs nothing.
    "behavior": {
        "scaleDown": {
            "stabilizationWindowSeconds": 10,
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        }
    },
}
HIGHEST = 80.0
RAMP = 20.0


def ramp(at: float) -> float:
    """From a tenth of the highest rate to all of it, then on like that."""
    return HIGHEST * min(1.0, 0.1 + 0.9 * at / RAMP)


def test_the_autoscaler_adds_pods_under_load_and_takes_them_away_after_it(
    target: Target, figure: Callable[[str], None]
) -> None:
    def ready() -> int:
        deployment = target.release.cluster.get("deployment", target.release.fullname, "-n", target.release.namespace)
        return int(deployment["status"].get("readyReplicas", 0))

    target.release.upgrade(target.values | {"autoscaling": SCALING, "settings": {}})
    eventually(lambda: ready() == LEAST, "the least pods, at rest", patience=240)
    with target.probe(ramp) as probe:
        begun = time.monotonic()
        eventually(lambda: ready() > LEAST, "another pod", patience=240)
        first = time.monotonic() - begun
        eventually(lambda: ready() == MOST, "the most pods", patience=240)
        all_of_them = time.monotonic() - begun
    with target.probe(rate=1) as after:
        eventually(lambda: ready() == LEAST, "the least pods again", patience=240)
    for verdict in (probe.verdict, after.verdict):
        assert not verdict.failures, str(verdict)
    goodput = len(probe.verdict.answered(200)) / all_of_them
    figure(
        f"first new pod ready {first:.0f} s after the ramp began, {MOST} after {all_of_them:.0f} s; "
        f"{goodput:.0f}/s answered, 0 refused of {len(probe.verdict.requests)}"
    )
