"""No request is lost while the release changes under load. Together these tests send over 10,000 requests."""

from __future__ import annotations

import dataclasses
import io
import re
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.settings import REPOSITORY
from tests.cluster.prober import Probe
from tests.cluster.product import CHART, Product
from tests.cluster.target import Target
from tests.cluster.waiting import eventually

Figure = Callable[[str], None]


def assert_nothing_lost(probe: Probe, figure: Figure) -> None:
    """Check that every request was answered correctly, and record the verdict."""
    assert not probe.verdict.failures, str(probe.verdict)
    figure(str(probe.verdict).partition("\nat ")[0].replace("\n", ", "))


@pytest.mark.core
def test_a_changed_setting_and_its_rollback_lose_nothing(target: Target, figure: Figure) -> None:
    with target.probe() as probe:
        time.sleep(2)
        begun = time.monotonic()
        target.release.upgrade(target.values | {"settings": {"queueLimit": 128}})
        figure(f"{time.monotonic() - begun:.0f} s for two pods")
        target.release.helm("rollback", target.release.name, "--wait", "--timeout=180s")
        probe.until(3000)
    assert_nothing_lost(probe, figure)


@pytest.mark.core
def test_another_image_with_another_model_loses_nothing_and_no_pod_mixes_them(
    target: Target, product: Product, newer: Product, figure: Figure
) -> None:
    # Use a class that both models know; both are trained on the same digits.
    expected = min(product.golden.keys() & newer.golden.keys())
    moved = dataclasses.replace(target, image=product.golden[expected], expected=expected)
    with moved.probe() as probe:
        time.sleep(2)
        target.release.upgrade(target.values | newer.values)
        served = models_by_pod(target)
        probe.until(2000)
    assert_nothing_lost(probe, figure)
    versions = [version for _, version in probe.verdict.versions]
    assert (versions[0], versions[-1]) == (product.model, newer.model)
    assert {*versions} == {product.model, newer.model}
    assert all(len(models) == 1 for models in served.values()), served
    assert {newer.model} in served.values()


def models_by_pod(target: Target) -> dict[str, set[str]]:
    """Return the models that each pod has served, by its own metrics; terminating pods are included."""
    served = {}
    for pod in target.release.pods():
        text = target.release.metrics(pod)
        if found := set(re.findall(r'^image_classifier_model_info\{.*\btag="([^"]+)"', text, re.MULTILINE)):
            served[pod["metadata"]["name"]] = found
    return served


def test_a_deleted_pod_loses_nothing(target: Target, figure: Figure) -> None:
    eventually(target.settled, "no pod that is still ending, whose deletion would prove nothing")
    with target.probe() as probe:
        time.sleep(2)
        (gone, *_) = target.release.pods()
        namespace, name = target.release.namespace, gone["metadata"]["name"]
        target.release.cluster.kubectl("-n", namespace, "delete", "pod", name, "--wait")
        deployment = f"deployment/{target.release.fullname}"
        target.release.cluster.kubectl("-n", namespace, "rollout", "status", deployment, "--timeout=120s")
        probe.until(1500)
    assert_nothing_lost(probe, figure)


@pytest.mark.core
def test_a_drained_node_loses_nothing_and_the_disruption_budget_is_kept(target: Target, figure: Figure) -> None:
    cluster, here = target.release.cluster, ("-n", target.release.namespace)
    *others, node = cluster.nodes()
    # Put both pods on one node, so that the disruption budget matters.
    with cluster.cordoned(*others):
        cluster.kubectl(*here, "rollout", "restart", f"deployment/{target.release.fullname}")
        cluster.kubectl(*here, "rollout", "status", f"deployment/{target.release.fullname}")
        eventually(target.settled, "no pod that is still ending, which a drain would evict too")
    # Drain our pods only, since others may use the cluster too.
    ours = f"--pod-selector=app.kubernetes.io/instance={target.release.name}"
    with target.probe() as probe, cluster.cordoned(node):
        time.sleep(2)
        said = cluster.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", ours, "--timeout=180s")
        probe.until(1500)
    assert_nothing_lost(probe, figure)
    assert said.count("evicted") == 2, said


@pytest.mark.core
def test_scaling_up_and_down_loses_nothing(target: Target, figure: Figure) -> None:
    with target.probe() as probe:
        time.sleep(2)
        for replicas in (4, 1, 2):
            target.release.upgrade(target.values | {"replicaCount": replicas})
        probe.until(3000)
    assert_nothing_lost(probe, figure)


@pytest.fixture
def earlier_chart(tmp_path: Path) -> Path:
    """Return the chart as last released: at the newest tag before this commit, otherwise at its first commit."""
    tagged = git("describe", "--tags", "--abbrev=0", "HEAD^")
    commit = tagged or git("log", "--diff-filter=A", "--format=%H", "--", str(CHART / "Chart.yaml"))
    path = str(CHART.relative_to(REPOSITORY))
    command = ["git", "archive", commit.split()[-1] if commit else "none", path]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this checkout has no history to take an earlier chart from")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as files:
        files.extractall(tmp_path)
    return tmp_path / path


def git(*arguments: str) -> str:
    """Run git and return what it prints, or an empty string if it fails."""
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def test_an_upgrade_of_the_chart_itself_loses_nothing(target: Target, earlier_chart: Path, figure: Figure) -> None:
    target.release.upgrade(target.values, chart=earlier_chart)
    with target.probe() as probe:
        time.sleep(2)
        target.release.upgrade(target.values)
        probe.until(1500)
    assert_nothing_lost(probe, figure)
