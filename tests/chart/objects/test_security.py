"""The Pod Security Standard `restricted`, the NetworkPolicy and API keys."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.conftest import PROFILES, refusal, template
from tests.chart.manifests import NAME, containers
from tests.chart.objects.test_models import URL

GATEWAY = {"httpRoute.enabled": True, "httpRoute.parentRefs": [{"name": "g"}]}
CANARIES = GATEWAY | {
    "networkPolicy.gatewayNamespaces": ["g"],
    "canary.enabled": True,
    "shadow.enabled": True,
}


@pytest.mark.parametrize("profile", ["", *PROFILES])
def test_every_pod_meets_the_restricted_standard(profile: str) -> None:
    release = template(URL, *filter(None, [profile])) if profile else template(CANARIES | URL)
    pods = list(release.pod_specs())
    assert len(pods) >= 2
    for name, pod in pods:
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == 1034, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        assert all({"emptyDir", "persistentVolumeClaim"} & volume.keys() for volume in pod["volumes"]), name
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, (name, container["name"])


def test_no_pod_mounts_a_service_account_token() -> None:
    release = template(CANARIES)
    assert all(pod["automountServiceAccountToken"] is False for _, pod in release.pod_specs())
    assert release.get("ServiceAccount")["automountServiceAccountToken"] is False


def test_services_do_not_become_environment_variables() -> None:
    assert all(pod["enableServiceLinks"] is False for _, pod in template(CANARIES).pod_specs())


def test_an_existing_service_account_is_used() -> None:
    release = template({"serviceAccount.create": False, "serviceAccount.name": "mine"})
    assert release.pod()["spec"]["serviceAccountName"] == "mine"
    assert "ServiceAccount" not in release.kinds


def test_without_a_service_account_pods_use_the_default_one() -> None:
    assert template({"serviceAccount.create": False}).pod()["spec"]["serviceAccountName"] == "default"


def test_writable_paths_are_in_memory_or_in_an_empty_dir() -> None:
    volumes = {volume["name"]: volume for volume in template().pod()["spec"]["volumes"]}
    assert volumes["tmp"]["emptyDir"]["medium"] == "Memory"
    paths = {mount["name"]: mount["mountPath"] for mount in template().server()["volumeMounts"]}
    assert paths == {"tmp": "/tmp", "bentoml": "/bentoml"}


def test_api_keys_come_from_a_secret_and_the_test_uses_them() -> None:
    release = template({"apiKeys.existingSecret": "keys", "apiKeys.key": "all"})
    reference = {"secretKeyRef": {"name": "keys", "key": "all"}}
    assert release.env()["API_KEYS"] == reference
    (test,) = release.get("Pod", f"{NAME}-test")["spec"]["containers"]
    assert test["env"] == [{"name": "API_KEYS", "valueFrom": reference}]


def test_without_api_keys_their_variable_is_not_set() -> None:
    assert "API_KEYS" not in template().env()


def policy(values: dict[str, Any]) -> dict[str, Any]:
    return template(values).spec("NetworkPolicy")


def admitted(values: dict[str, Any]) -> dict[str, list[str]]:
    """Return the namespaces that each port is open to, besides the release's own."""
    found = {}
    for rule in policy(GATEWAY | {"networkPolicy.gatewayNamespaces": ["edge"]} | values)["ingress"]:
        (port,) = rule["ports"]
        assert port["protocol"] == "TCP"
        own, *others = rule["from"]
        assert own == {"podSelector": {}}
        expressions = [one for peer in others for one in peer["namespaceSelector"]["matchExpressions"]]
        found[port["port"]] = [name for expression in expressions for name in expression["values"]]
    return found


def test_the_network_policy_opens_requests_to_the_gateway_and_management_to_monitoring() -> None:
    """The kind: a policy by port means nothing if the gateway may use the port that Prometheus scrapes."""
    assert admitted({}) == {"http": ["edge"], "management": ["monitoring"]}
    assert admitted({"networkPolicy.monitoringNamespaces": []}) == {"http": ["edge"], "management": []}
    assert admitted({"settings.managementPort": 0}) == {"http": ["edge", "monitoring"]}


def test_the_network_policy_allows_egress_only_to_dns_by_default() -> None:
    spec = policy({})
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    # DNS pods of OpenShift listen on 5353.
    assert spec["egress"] == [
        {"ports": [{"port": port, "protocol": protocol} for port in (53, 5353) for protocol in ("UDP", "TCP")]}
    ]


@pytest.mark.parametrize(
    ("values", "port"),
    [
        ({"tracing.endpoint": "http://collector:4318"}, 4318),
        ({"tracing.endpoint": "http://collector/v1"}, 80),
        (URL, 443),
        (URL | {"model.url.location": "oci://r.example.com:5000/m:1"}, 5000),
        ({"canary.enabled": True, "canary.model": {"source": "url", "tag": "m:1", "url": {
            "location": "https://s:8443/m", "sha256": "0" * 64}}}, 8443),
    ],
)  # fmt: skip
def test_the_network_policy_allows_egress_to_addresses_in_the_values(values: dict[str, Any], port: int) -> None:
    assert {"ports": [{"port": port, "protocol": "TCP"}]} in policy(values)["egress"]


@pytest.mark.parametrize(
    ("address", "namespaces"),
    [
        ("http://collector", [None]),
        ("http://collector.monitoring:80", ["monitoring"]),
        ("http://collector.monitoring.svc:80", ["monitoring"]),
        ("https://collector.monitoring.svc.cluster.local", ["monitoring"]),
        ("https://collector.example.com", []),
        ("http://192.0.2.1:4318", []),
    ],
)
def test_an_address_inside_the_cluster_opens_its_namespace(address: str, namespaces: list[str | None]) -> None:
    """A policy applies to the ports of pods, and an address names the port of a Service, which may be another."""
    peers = [peer for rule in policy({"tracing.endpoint": address})["egress"] for peer in rule.get("to", [])]
    label = "kubernetes.io/metadata.name"
    assert peers == [
        {"namespaceSelector": {"matchLabels": {label: name}}} if name else {"podSelector": {}} for name in namespaces
    ]


def test_the_test_pod_has_a_policy_of_its_own() -> None:
    release = template(URL | {"networkPolicy.extraEgress": [{"ports": [{"port": 7}]}]})
    spec = release.spec("NetworkPolicy", f"{NAME}-test")
    labels = release.get("Pod", f"{NAME}-test")["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert (spec["policyTypes"], "ingress" in spec) == (["Ingress", "Egress"], False)
    container_ports = [port["containerPort"] for port in release.server()["ports"]]
    (server,) = [rule for rule in spec["egress"] if "to" in rule]
    assert [port["port"] for port in server["ports"]] == container_ports == [3000, 3001]
    assert {"ports": [{"port": 443, "protocol": "TCP"}]} in spec["egress"]
    assert {"ports": [{"port": 7}]} in spec["egress"]
    off = template({"test.enabled": False}).find("NetworkPolicy", f"{NAME}-test")
    assert off is None


def test_extra_peers_and_egress_rules_are_added() -> None:
    spec = policy({"networkPolicy.extraFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "networkPolicy.extraEgress": [{}]})
    assert [{"ipBlock": {"cidr": "10.0.0.0/8"}} in rule["from"] for rule in spec["ingress"]] == [True, False]
    assert {} in spec["egress"]


def test_the_network_policy_can_be_turned_off() -> None:
    assert "NetworkPolicy" not in template({"networkPolicy.enabled": False}).kinds


@pytest.mark.parametrize("values", [GATEWAY, {"ingress.enabled": True}])
def test_a_network_policy_that_would_block_the_gateway_is_refused(values: dict[str, Any]) -> None:
    assert "would block the Ingress controller or gateway. Set networkPolicy.gatewayNamespaces" in refusal(values)
    assert template(values | {"networkPolicy.enabled": False})


def test_a_network_policy_that_would_block_a_load_balancer_is_refused() -> None:
    assert "which service.type LoadBalancer is for. Set networkPolicy.extraFrom" in refusal(
        {"service.type": "LoadBalancer"}
    )
