"""With loadtests/kubernetes.yaml, workers in pods load the service, and the Job's end is the verdict."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.kubectl import Cluster
from tests.cluster.product import job_image
from tests.cluster.target import Target

MANIFEST = Path(__file__).parents[3] / "loadtests" / "kubernetes.yaml"


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> Iterator[str]:
    with job_image(cluster, "loadtests") as image:
        yield image


def manifest(image: str, **settings: str) -> list[dict[str, Any]]:
    """Return the manifest's objects, edited as its first lines say."""
    objects = list(yaml.safe_load_all(MANIFEST.read_text()))
    for found in objects:
        if found["kind"] == "ConfigMap":
            found["data"] |= settings
        if found["kind"] == "Job":
            found["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return objects


def end(cluster: Cluster, namespace: str) -> str:
    """Wait for the Job's end; return `Complete` or `Failed`."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        conditions = cluster.get("job/loadtest", "-n", namespace)["status"].get("conditions", [])
        for condition in conditions:
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
                return str(condition["type"])
        time.sleep(1)
    raise AssertionError("the load test doesn't end")


@pytest.mark.parametrize(
    ("slo", "ending", "said"),
    [
        ("p99=20s,errors=0", "Complete", r"service levels: kept: p99 \d+ ms <= 20s; errors 0 of (\d+) <= 0"),
        ("p50=0.01ms", "Failed", r"service levels: missed: p50 \d+ ms > 0.01ms"),
    ],
)
def test_workers_in_the_cluster_share_the_rate_and_the_jobs_end_is_the_verdict(
    cluster: Cluster, standing: Target, image: str, slo: str, ending: str, said: str
) -> None:
    namespace = standing.release.namespace
    host = f"http://{standing.release.fullname}"
    cluster.apply(
        namespace, *manifest(image, LOCUST_HOST=host, LOCUST_SLO=slo, LOCUST_RATE="40", LOCUST_RUN_TIME="10s")
    )
    try:
        ended = end(cluster, namespace)
        logs = cluster.kubectl("-n", namespace, "logs", "-l", "job-name=loadtest", "--tail=-1", "--prefix")
        assert ended == ending, logs
        found = re.search(said, logs)
        assert found, logs
        if found.groups():
            assert 300 <= int(found[1]) <= 420
        pods = cluster.get("pods", "-n", namespace, "-l", "job-name=loadtest")["items"]
        assert len(pods) == 3
        told = [pod["status"]["containerStatuses"][0]["state"]["terminated"].get("message", "") for pod in pods]
        assert sum(bool(text) for text in told) == 1
    finally:
        cluster.kubectl("-n", namespace, "delete", "job/loadtest", "service/loadtest", "configmap/loadtest")
