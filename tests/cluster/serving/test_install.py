"""The chart installs as its README says: pods are ready, restricted and limited, and `helm test` finds faults."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import models
from tests.cluster.kubectl import Cluster
from tests.cluster.product import CHART, Product, Release
from tests.cluster.waiting import eventually
from tests.stored import write_entry

NOTES_PORT = 3000


@pytest.mark.core
def test_default_values_install_and_the_charts_own_test_passes(
    release: Release, product: Product, figure: Callable[[str], None]
) -> None:
    release.install(product.values)
    assert [pod["status"]["phase"] for pod in release.pods()] == ["Running", "Running"]
    # Helm prints the pod's log to standard error; Helm 4 as one line of its own log.
    tested = release.helm("test", release.name, "--timeout=120s", errors=True)
    assert "Succeeded" in tested
    assert len(re.findall(r"ok: \S+ is '", tested)) == len(product.golden), tested
    for pod in release.pods():
        figure(f"on {pod['spec']['nodeName']}: {cold_start(release, pod)}")


def cold_start(release: Release, pod: dict[str, Any]) -> str:
    """Return the times of a pod's start: Kubernetes' in whole seconds, the service's own exactly."""
    name = pod["metadata"]["name"]

    def at(text: str) -> datetime:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))

    begun = at(pod["metadata"]["creationTimestamp"])
    times = {each["type"]: at(each["lastTransitionTime"]) for each in pod["status"]["conditions"]}
    only = f"--field-selector=involvedObject.name={name}"
    events = release.cluster.kubectl("-n", release.namespace, "get", "events", only)
    pulled = re.search(r"Successfully pulled image .* in (\S+) \(", events)
    started = at(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])
    metrics = release.metrics(pod)
    phases = re.findall(r'^image_classifier_start_seconds\{phase="(\w+)"\} (\S+)', metrics, re.MULTILINE)
    return ", ".join(
        [
            f"scheduled {(times['PodScheduled'] - begun).total_seconds():.0f} s",
            f"pulled in {pulled[1]}" if pulled else "image there",
            f"started {(started - begun).total_seconds():.0f} s",
            *(f"{phase} {float(seconds):.2f} s" for phase, seconds in phases),
            f"ready {(times['Ready'] - begun).total_seconds():.0f} s after its creation",
        ]
    )


def test_the_packaged_chart_is_installed_from_a_registry(release: Release, product: Product, tmp_path: Path) -> None:
    release.helm("package", CHART, "--destination", tmp_path)
    (packed,) = tmp_path.iterdir()
    release.helm("push", packed, f"oci://{product.registry}/charts", "--plain-http")
    chart = f"oci://{product.registry}/charts/image-classifier"
    release.helm("install", release.name, chart, "--plain-http", "--wait", "--timeout=180s", values=product.values)
    assert "Succeeded" in release.helm("test", release.name, "--timeout=120s")


def test_pods_are_spread_run_restricted_within_their_limits_and_have_no_token(
    release: Release, product: Product
) -> None:
    # The namespace enforces the Pod Security Standard `restricted`, so pods that violate it could not start.
    resources = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1500m", "memory": "768Mi"}}
    release.install(product.values | {"resources": resources})
    pods = release.pods()
    assert len({pod["spec"]["nodeName"] for pod in pods}) == min(2, len(release.cluster.nodes()))
    for pod in pods:
        mounts = [mount["mountPath"] for each in pod["spec"]["containers"] for mount in each["volumeMounts"]]
        assert not [path for path in mounts if "serviceaccount" in path]
        here = ("-n", release.namespace, "exec", pod["metadata"]["name"], "--", "python", "-c")
        assert "Read-only file system" in release.cluster.kubectl(*here, "open('/app/file', 'w')", check=False)
        assert json.loads(release.cluster.kubectl(*here, LIMITS)) == {"memory": 768 * 2**20, "cpu": 1.5}
        # Rounded up, as the downward API does.
        log = release.cluster.kubectl("-n", release.namespace, "logs", pod["metadata"]["name"])
        assert ", 2 threads;" in log


# Reads the limits that the kernel enforces, from control groups of version 2 or 1.
LIMITS = """
import json, pathlib
groups = pathlib.Path("/sys/fs/cgroup")
if (groups / "cpu.max").exists():
    quota, period = map(int, (groups / "cpu.max").read_text().split())
    memory = groups / "memory.max"
else:
    quota, period = (int((groups / f"cpu/cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    memory = groups / "memory/memory.limit_in_bytes"
print(json.dumps({"memory": int(memory.read_text()), "cpu": quota / period}))
"""


def test_a_wrong_model_fails_the_charts_own_test(
    cluster: Cluster, release: Release, product: Product, tmp_path: Path
) -> None:
    entry = write_entry(tmp_path / "entry", int8=False)
    golden = json.loads((entry / "golden/golden.json").read_text())
    golden[0]["class"], golden[1]["class"] = golden[1]["class"], golden[0]["class"]
    (entry / "golden/golden.json").write_text(json.dumps(golden))
    model = models.published(cluster, entry, tmp_path / "home", "wrong")
    release.install(product.values | {"model": model, "replicaCount": 1})
    tested = release.helm("test", release.name, "--timeout=60s", check=False)
    assert "FAILED: red.png is 'green'" in tested, tested


def test_a_broken_service_fails_the_charts_own_test(release: Release, product: Product) -> None:
    # With this limit the service is ready, but refuses every image.
    release.install(product.values | {"settings": {"maxBodyBytes": 10}, "replicaCount": 1})
    tested = release.helm("test", release.name, "--timeout=60s", check=False)
    assert re.search(r"FAILED: \S+ is answered: \(413", tested), tested


def test_the_commands_of_the_notes_work_word_for_word(release: Release, product: Product, tmp_path: Path) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", NOTES_PORT)) == 0:
            pytest.skip(f"something listens on port {NOTES_PORT} already, which the notes name")
    said = release.install(product.values)
    forward, curl, *_ = re.findall(r"^  (\S.*)$", said.partition("Classify an image:")[2], re.MULTILINE)
    expected, image = next(iter(product.golden.items()))
    (tmp_path / "image.jpg").write_bytes(image)
    command = forward.rstrip(" &")
    forwarding = subprocess.Popen(["bash", "-c", f"exec {command}"], env=release.cluster.environment, cwd=tmp_path)
    try:
        eventually(lambda: listens(NOTES_PORT), "the forwarded port")
        done = subprocess.run(["bash", "-c", curl], cwd=tmp_path, capture_output=True, text=True, check=False)
    finally:
        forwarding.terminate()
        forwarding.wait()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predicted_class"] == expected


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# The cluster has no Prometheus Operator, and its nodes have two cores.
SMALL = {
    "serviceMonitor": {"enabled": False},
    "prometheusRule": {"enabled": False},
    "resources": {"requests": {"cpu": "100m"}},
}


@pytest.mark.parametrize(("profile", "pods", "change"), [("dev", 1, {}), ("prod", 3, SMALL)])
def test_a_profile_installs(
    release: Release, product: Product, profile: str, pods: int, change: dict[str, Any]
) -> None:
    values = ("--values", CHART / f"values-{profile}.yaml")
    release.helm("install", release.name, CHART, *values, "--wait", "--timeout=180s", values=product.values | change)
    eventually(lambda: len([pod for pod in release.pods() if is_ready(pod)]) == pods, f"{pods} pods")
    assert "Succeeded" in release.helm("test", release.name, "--timeout=120s")


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


# The GKE profile is missing because it has Google's own kinds.
@pytest.mark.parametrize("profile", ["eks", "aks", "gpu"])
def test_the_api_server_accepts_every_object_of_a_profile_that_needs_more_than_this_cluster(
    release: Release, product: Product, profile: str
) -> None:
    values = ("--values", CHART / f"values-{profile}.yaml")
    said = release.helm("install", release.name, CHART, *values, "--dry-run=server", values=product.values)
    assert "kind: Deployment" in said
