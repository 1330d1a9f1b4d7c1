"""A shadow gets a copy of every request, and clients never notice its faults."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cluster import models
from tests.cluster.kubectl import Cluster
from tests.cluster.product import Product
from tests.cluster.target import Target
from tests.cluster.waiting import eventually
from tests.slow_model import write_slow_entry

RATE = 40


def test_a_shadow_gets_the_requests_and_its_faults_reach_no_caller(
    cluster: Cluster, target: Target, product: Product, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    # The shadow can answer a tenth of the requests and refuses the rest. A short queue would have the same effect, but
    # the setting would also apply to the release itself, where any pause of the machine would fill the queue.
    slow = models.published(cluster, write_slow_entry(tmp_path / "entry", 250), tmp_path / "home", "shadow")
    shadow = {"enabled": True, "replicaCount": 1, "model": slow}
    target.release.upgrade(target.values | {"shadow": shadow})
    (pod,) = target.release.pods("shadow")
    with target.probe(rate=RATE) as probe:
        # The gateway begins to mirror a moment after Helm has seen the pod ready.
        eventually(lambda: {"200", "429"} <= answers(target, pod).keys(), "copies that are answered and refused")
        counted = answers(target, pod)
        deployment = f"deployment/{target.release.fullname}-shadow"
        cluster.kubectl("-n", target.release.namespace, "scale", deployment, "--replicas=0")
        eventually(lambda: not target.release.pods("shadow"), "the shadow's end")
        time.sleep(2)
    assert not probe.verdict.failures, str(probe.verdict)
    assert {version for _, version in probe.verdict.versions} == {product.model}
    figure(f"{len(probe.verdict.requests)} requests, 0 failed; the shadow's answers by code, {counted}")


def answers(target: Target, pod: dict[str, Any]) -> dict[str, int]:
    """Return how many answers the pod has given to images, by status."""
    sample = re.compile(r'^image_classifier_requests_total\{(.*route="/predict".*)\} (\S+)', re.MULTILINE)
    counted = sample.findall(target.release.metrics(pod))
    return {re.findall(r'code="(\d+)"', labels)[0]: int(float(value)) for labels, value in counted}
