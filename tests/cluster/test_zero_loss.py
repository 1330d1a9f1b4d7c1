"""No request is lost while the release changes under load."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from tests.cluster.prober import Verdict
from tests.cluster.product import Product
from tests.cluster.target import Target

Figure = Callable[[str], None]


def common(old: Product, new: Product) -> str:
    """A class that both know: they are trained on the same digits."""
    return min(old.golden.keys() & new.golden.keys())


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


def test_another_image_with_another_model_loses_nothing_and_no_pod_mixes_them(
    target: Target, product: Product, newer: Product, figure: Figure
) -> None:
    expected = common(product, newer)
    moved = dataclasses.replace(target, image=product.golden[expected], expected=expected)
    with moved.probe() as probe:
        time.sleep(3)
        target.release.upgrade(target.values | newer.values)
        time.sleep(3)
    settled(probe.verdict, least=500, figure=figure)
    versions = [version for _, version in probe.verdict.versions]
    assert (versions[0], versions[-1]) == (product.model, newer.model)
    assert {*versions} == {product.model, newer.model}


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
    node = target.release.cluster.nodes()[-1]
    try:
        with target.probe() as probe:
            time.sleep(3)
            # Others may use the cluster too.
            ours = f"--pod-selector=app.kubernetes.io/instance={target.release.name}"
            kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", ours, "--timeout=120s")
            time.sleep(3)
    finally:
        kubectl("uncordon", node)
    settled(probe.verdict, least=300, figure=figure)


def test_scaling_up_and_down_loses_nothing(target: Target, figure: Figure) -> None:
    with target.probe() as probe:
        time.sleep(3)
        for replicas in (4, 1, 2):
            target.release.upgrade(target.values | {"replicaCount": replicas})
        time.sleep(3)
    settled(probe.verdict, least=500, figure=figure)
