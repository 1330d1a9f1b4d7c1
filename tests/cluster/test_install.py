"""The chart installed as the README says: ready, its own test passes, both doors answer."""

from __future__ import annotations

import httpx
import pytest

from tests.cluster.kubectl import Cluster
from tests.cluster.product import Product, Release
from tests.cluster.target import LET_IN, PARENTS
from tests.cluster.waiting import eventually


def classify(url: str, host: str, image: bytes) -> httpx.Response:
    return httpx.post(f"{url}/predict", headers={"Host": host}, files={"file": ("image.jpg", image, "image/jpeg")})


def routed(url: str, host: str) -> bool:
    """Whether the gateway knows the name by now, and a pod behind it is ready."""
    return httpx.get(f"{url}/readyz", headers={"Host": host}).status_code == 200


def test_default_values_install_and_the_charts_own_test_passes(release: Release, product: Product) -> None:
    release.install(product.values)
    assert [pod["status"]["phase"] for pod in release.pods()] == ["Running", "Running"]
    tested = release.helm("test", release.name, "--logs", "--timeout=120s")
    assert "Succeeded" in tested


def test_pods_of_the_defaults_are_spread_run_restricted_and_have_no_token(release: Release, product: Product) -> None:
    # The namespace enforces the Pod Security Standard `restricted`: they wouldn't be there otherwise.
    release.install(product.values)
    pods = release.pods()
    assert len({pod["spec"]["nodeName"] for pod in pods}) == min(2, len(release.cluster.nodes()))
    for pod in pods:
        mounts = [mount["mountPath"] for each in pod["spec"]["containers"] for mount in each["volumeMounts"]]
        assert not [path for path in mounts if "serviceaccount" in path]
        name = pod["metadata"]["name"]
        script = "import os; open('/app/file', 'w')"
        written = release.cluster.kubectl(
            *("-n", release.namespace, "exec", name, "--", "python", "-c", script), check=False
        )
        assert "Read-only file system" in written


def test_threads_follow_the_cpu_limit(release: Release, product: Product) -> None:
    resources = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1500m", "memory": "1Gi"}}
    release.install(product.values | {"replicaCount": 1, "resources": resources})
    (pod,) = release.pods()
    log = release.cluster.kubectl("-n", release.namespace, "logs", pod["metadata"]["name"])
    assert ", 2 threads;" in log


@pytest.mark.parametrize("door", ["ingress", "httpRoute"])
def test_the_door_answers_with_the_class_of_a_real_image(
    cluster: Cluster, release: Release, product: Product, door: str
) -> None:
    if not cluster.http:
        pytest.skip("GATEWAY_HTTP names no gateway")
    host = f"{door.lower()}.example.test"
    doors = {
        "ingress": {"ingress": {"enabled": True, "className": "contour", "hosts": [host]}},
        "httpRoute": {
            "httpRoute": {
                "enabled": True,
                "parentRefs": PARENTS,
                "hostnames": [host],
            }
        },
    }
    small = {"settings": {"maxBodyBytes": 1_000_000}}
    release.install(product.values | doors[door] | small | {"networkPolicy": LET_IN})
    eventually(lambda: routed(cluster.http, host), "a route to the service")
    for expected, image in product.golden.items():
        answer = classify(cluster.http, host, image)
        assert (answer.status_code, answer.json()["predicted_class"]) == (200, expected)
        assert answer.headers["X-Model-Version"] == product.model
    assert classify(cluster.http, host, b"\xff\xd8" + bytes(1_000_001)).status_code == 413
