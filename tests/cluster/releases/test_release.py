"""Release from the command line under load: canaries, interruptions, kills and permissions."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.command import image, k8s, serving, start
from tests.cluster.product import Product, Release
from tests.cluster.target import Target
from tests.cluster.waiting import eventually

# The load test of `release` has its own tests; here the probe sends requests already.
QUIET = ("--slo", "none", "--timeout", "180s")


def history(release: Release) -> list[tuple[int, str]]:
    """Return the revisions and their states, the newest last."""
    entries = json.loads(release.helm("history", release.name, "--output", "json"))
    return [(entry["revision"], entry["status"]) for entry in entries]


@pytest.mark.core
def test_a_canary_is_promoted_and_rolled_back_without_a_lost_request(
    target: Target, product: Product, newer: Product, figure: Callable[[str], None]
) -> None:
    release = target.release
    *_, (first, _) = history(release)
    with target.probe() as probe:
        k8s(release, "canary", "--weight", "50", "--image", image(newer), *QUIET)
        assert (serving(release), serving(release, "canary")) == ({image(product)}, {image(newer)})
        k8s(release, "promote", "--timeout", "180s")
        assert (serving(release), serving(release, "canary")) == ({image(newer)}, set())
        k8s(release, "rollback", str(first), "--timeout", "180s")
        assert serving(release) == {image(product)}
    assert not probe.verdict.failures, str(probe.verdict)
    figure(f"{len(probe.verdict.requests)} requests, 0 failed")


def test_an_aborted_canary_leaves_nothing(target: Target, product: Product, newer: Product) -> None:
    release = target.release
    k8s(release, "canary", "--weight", "10", "--image", image(newer), *QUIET)
    k8s(release, "abort", "--timeout", "180s")
    assert (serving(release), serving(release, "canary")) == ({image(product)}, set())
    route = release.cluster.get("httproute", release.fullname, "--namespace", release.namespace)
    assert [ref["name"] for ref in route["spec"]["rules"][0]["backendRefs"]] == [release.fullname]


@pytest.mark.core
def test_a_model_that_fails_its_golden_check_is_refused_with_the_figures(
    target: Target, product: Product, newer: Product, tmp_path: Path
) -> None:
    (name, content), *_ = product.golden.items()
    (tmp_path / "one.jpg").write_bytes(content)
    expected = [{"file": "one.jpg", "class": f"not {name}", "confidence": 0.9}]
    (tmp_path / "golden.json").write_text(json.dumps(expected))
    with target.probe() as probe:
        said = k8s(target.release, "release", "--image", image(newer), "--golden", str(tmp_path), *QUIET, code=3)
    assert f"golden set: 1 of 1 images differ: one.jpg: expected not {name} (0.9000), got {name}" in said
    assert said.rstrip().endswith(f"{target.release.name} is unchanged")
    assert serving(target.release) == {image(product)}
    assert not probe.verdict.failures, str(probe.verdict)


def test_ctrl_c_during_the_rollout_rolls_back(target: Target, product: Product, newer: Product) -> None:
    release = target.release
    *_, (first, _) = history(release)
    process = start(release, "release", "--image", image(newer), *QUIET)
    eventually(lambda: history(release)[-1][0] > first, "the rollout's beginning")
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert f"interrupted: rolled back to revision {first}" in err
    assert history(release)[-1][1] == "deployed"
    eventually(lambda: serving(release) == {image(product)}, "the old version alone")


def test_a_release_that_was_killed_inside_helm_is_recovered(
    target: Target, product: Product, newer: Product, tmp_path: Path
) -> None:
    release, values = target.release, tmp_path / "values.json"
    values.write_text(json.dumps(target.values | {"extraObjects": [_endless_hook(image(product))]}))
    *_, (first, _) = history(release)
    process = start(release, "release", "--image", image(newer), "--values", str(values), *QUIET)
    eventually(lambda: history(release)[-1][1] == "pending-upgrade", "helm's upgrade")
    _kill_with_children(process.pid)
    process.communicate()
    assert history(release)[-1] == (first + 1, "pending-upgrade")
    said = k8s(release, "release", "--image", image(newer), *QUIET)
    assert f"revision {first + 1} was left pending-upgrade: rolling back to revision {first}" in said
    assert serving(release) == {image(newer)}
    assert {status for _, status in history(release)} == {"superseded", "deployed"}


def test_status_shows_each_pods_model(target: Target, product: Product) -> None:
    found = json.loads(k8s(target.release, "status", "--output", "json"))
    # Pods of earlier tests may still be terminating.
    assert [pod["model"] for pod in found["pods"] if pod["ready"]] == [product.model] * 2
    assert found["components"]["server"] == {"desired": 2, "ready": 2, "updated": 2}


@pytest.fixture
def ci(target: Target, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a service account that has the documented Role for releases."""
    cluster, namespace = target.release.cluster, target.release.namespace
    cluster.kubectl("apply", "--namespace", namespace, "--filename", "k8s/rbac.yaml")
    cluster.kubectl("create", "serviceaccount", "ci", "--namespace", namespace)
    bind(target.release, "image-classifier-release")
    token = cluster.kubectl("create", "token", "ci", "--namespace", namespace).strip()
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "--output", "json"))
    config["users"][0]["user"] = {"token": token}
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    return {"KUBECONFIG": str(file)}


def bind(release: Release, role: str) -> None:
    account = f"{release.namespace}:ci"
    options = ("--role", role, "--serviceaccount", account, "--namespace", release.namespace)
    release.cluster.kubectl("create", "rolebinding", role, *options)


def test_the_documented_permissions_are_enough_and_an_error_names_a_missing_one(
    target: Target, newer: Product, ci: dict[str, str]
) -> None:
    release = target.release
    k8s(release, "release", "--image", image(newer), *QUIET, environment=ci)
    k8s(release, "rollback", "--timeout", "180s", environment=ci)
    said = k8s(release, "status", environment=ci, code=5)
    who = f"system:serviceaccount:{release.namespace}:ci"
    missing = "has no permission to list horizontalpodautoscalers.autoscaling"
    assert f"{who} {missing} in namespace {release.namespace}" in said
    bind(release, "image-classifier-status")
    k8s(release, "status", environment=ci)


def _endless_hook(name: str) -> dict[str, Any]:
    """Return a Job that Helm waits for before it upgrades anything."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "wait", "image": name, "command": ["sleep", "600"], "securityContext": security}
    pod = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    metadata = {"name": "endless", "annotations": {"helm.sh/hook": "pre-upgrade"}}
    spec = {"template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _kill_with_children(pid: int) -> None:
    """Kill the command and Helm, as a power failure would; Helm has its own session and would keep running."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (pid, *map(int, children)):
        os.kill(each, signal.SIGKILL)
    time.sleep(0.1)
