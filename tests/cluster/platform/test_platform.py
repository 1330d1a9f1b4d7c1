"""The cluster itself works: nodes, DNS, metrics, registry, Ingress and HTTPRoute, limits."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path

import pytest

from cluster.images import archive
from cluster.settings import REPOSITORY
from tests.cluster import workloads
from tests.cluster.kubectl import Cluster
from tests.cluster.product import digest, push_archive
from tests.cluster.waiting import eventually

SOURCE = Path(__file__).parent / "echo"


@pytest.fixture(scope="session")
def echo(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Push the tests' own image and return its name by digest."""
    if not cluster.registry:
        pytest.skip("REGISTRY names no registry that this machine can push to and the cluster pull from")
    folder = tmp_path_factory.mktemp("echo")
    program, packed = folder / "echo", folder / "echo.tar"
    environment = {**cluster.environment, "CGO_ENABLED": "0"}
    subprocess.run(
        [REPOSITORY / "scripts" / "go", "-C", SOURCE, "build", "-trimpath", "-o", program, "."],
        check=True,
        env=environment,
    )
    archive.write(packed, "localhost/echo:test", {"/bin/echo": program}, entrypoint=["/bin/echo"], user="65534:65534")
    push_archive(packed, "localhost/echo:test", f"{cluster.registry}/echo:test")
    return f"{cluster.registry}/echo@{digest(cluster.registry, 'echo', 'test')}"


def finished(cluster: Cluster, namespace: str, name: str) -> dict[str, object]:
    """Wait for the pod's end, and return how its container ended."""

    def ended() -> bool:
        return cluster.get("pod", name, "-n", namespace)["status"]["phase"] in ("Succeeded", "Failed")

    eventually(ended, f"the end of pod {name}")
    status = cluster.get("pod", name, "-n", namespace)["status"]["containerStatuses"][0]["state"]["terminated"]
    assert isinstance(status, dict)
    return status


def answer(url: str, host: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}), timeout=5) as response:
        return str(response.read().decode())


def answers(url: str, host: str, text: str) -> bool:
    try:
        return text in answer(url, host)
    except OSError:
        return False


@pytest.mark.core
def test_every_node_is_ready(cluster: Cluster) -> None:
    ready = [
        condition["status"]
        for node in cluster.get("nodes")["items"]
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready"
    ]
    assert ready
    assert set(ready) == {"True"}


def test_a_pod_pulls_by_digest_and_resolves_names_on_either_node(cluster: Cluster, namespace: str, echo: str) -> None:
    nodes = cluster.nodes()
    for node in nodes:
        name = f"resolve-{node}"
        arguments = ("resolve", "kubernetes.default.svc.cluster.local")
        cluster.apply(namespace, workloads.pod(name, echo, *arguments, node=node, imagePullPolicy="Always"))
    for node in nodes:
        assert finished(cluster, namespace, f"resolve-{node}")["exitCode"] == 0
        address = cluster.get("service", "kubernetes", "-n", "default")["spec"]["clusterIP"]
        assert cluster.kubectl("-n", namespace, "logs", f"resolve-{node}").strip() == address


def test_kubectl_top_shows_the_metrics_of_pods(cluster: Cluster, namespace: str, echo: str) -> None:
    cluster.apply(namespace, workloads.pod("metered", echo, "serve"))

    def measured() -> bool:
        return "metered" in cluster.kubectl("-n", namespace, "top", "pods", check=False)

    eventually(measured, "kubectl top pods")


def test_ingress_and_http_route_lead_to_pods_of_both_nodes(cluster: Cluster, namespace: str, echo: str) -> None:
    if not cluster.http:
        pytest.skip("GATEWAY_HTTP names no gateway")
    for node in cluster.nodes():
        name = f"echo-{node}"
        objects = (
            workloads.pod(name, echo, "serve", node=node),
            workloads.service(name),
            workloads.ingress(name, f"{name}.ingress.test"),
            workloads.http_route(name, f"{name}.route.test"),
        )
        cluster.apply(namespace, *objects)
    for node in cluster.nodes():
        name = f"echo-{node}"
        for door in ("ingress", "route"):
            host = f"{name}.{door}.test"
            eventually(lambda host=host, name=name: answers(cluster.http, host, f"echo from {name}"), host)  # type: ignore[misc]


def test_limits_are_enforced(cluster: Cluster, namespace: str, echo: str) -> None:
    limits = {"limits": {"memory": "64Mi", "cpu": "100m"}}
    cluster.apply(namespace, workloads.pod("small", echo, "eat", "16", resources=limits))
    cluster.apply(namespace, workloads.pod("large", echo, "eat", "256", resources=limits))
    assert finished(cluster, namespace, "small")["exitCode"] == 0
    large = finished(cluster, namespace, "large")
    assert (large["exitCode"], large["reason"]) == (137, "OOMKilled")


def test_logs_and_exec_reach_pods_of_both_nodes(cluster: Cluster, namespace: str, echo: str) -> None:
    for node in cluster.nodes():
        cluster.apply(namespace, workloads.pod(node, echo, "serve", node=node))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "--timeout=60s", "pod", "--all")
    for node in cluster.nodes():
        assert cluster.kubectl("-n", namespace, "logs", node) == "serving\n"
        assert cluster.kubectl("-n", namespace, "exec", node, "--", "/bin/echo", "eat", "1") == "ate 1\n"


def test_pods_that_violate_restricted_are_refused(cluster: Cluster, namespace: str, echo: str) -> None:
    pod = workloads.pod("root", echo, "serve")
    pod["spec"]["securityContext"] = {"runAsUser": 0}
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        cluster.apply(namespace, pod)


def test_a_claim_is_shared_by_pods_of_both_nodes(cluster: Cluster, namespace: str, echo: str) -> None:
    cluster.apply(namespace, workloads.claim("store"))
    for node, verb in zip((cluster.nodes()[0], cluster.nodes()[-1]), ("write", "read"), strict=True):
        pod = workloads.pod(verb, echo, verb, "/store/file", volumeMounts=[{"name": "store", "mountPath": "/store"}])
        pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
        pod["spec"]["volumes"] = [{"name": "store", "persistentVolumeClaim": {"claimName": "store"}}]
        cluster.apply(namespace, pod)
        assert finished(cluster, namespace, verb)["exitCode"] == 0
    assert cluster.kubectl("-n", namespace, "logs", "read") == "written\n"
