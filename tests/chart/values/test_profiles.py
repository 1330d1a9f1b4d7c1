"""The profiles of clouds and the documented gateways."""

from __future__ import annotations

import re

import pytest

from tests.chart.conftest import CHART, PROFILES, template
from tests.chart.manifests import NAME

DEFAULT = float(template().settings["KEEP_ALIVE"])
# The gateway of each profile, as the README's table names it.
GATEWAYS = {"gke": "GKE", "eks": "AWS", "aks": "AKS"}


def idle_timeouts() -> dict[str, tuple[float, str]]:
    """Return seconds and advice of each gateway in the README's table."""
    text = (CHART / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| \[(\d+) s.*?\]\(https://.+?\) \| (.+?) \|$", text, re.MULTILINE)
    return {name: (float(seconds), advice) for name, seconds, advice in rows}


def test_the_default_outlives_the_gateways_that_need_no_setting() -> None:
    """A connection that the service closes first is a 502 for the request on its way."""
    table = idle_timeouts()
    assert len(table) >= 5
    for gateway, (seconds, advice) in table.items():
        (wanted,) = map(float, re.findall(r"\b(\d+)\b", advice))
        assert wanted > seconds, gateway
        assert (wanted == DEFAULT) is ("default" in advice), gateway


@pytest.mark.parametrize("profile", PROFILES)
def test_connections_to_the_pods_of_a_profile_live_longer_than_its_gateway_keeps_them(profile: str) -> None:
    release = template({}, profile)
    exposed = bool(release.kinds & {"Ingress", "HTTPRoute"})
    assert exposed == (profile in GATEWAYS)
    if exposed:
        (seconds,) = [seconds for name, (seconds, _) in idle_timeouts().items() if GATEWAYS[profile] in name]
        assert float(release.settings["KEEP_ALIVE"]) > seconds


def test_the_idle_timeout_that_eks_sets_is_shorter_too() -> None:
    attributes = template({}, "eks").get("Ingress")["metadata"]["annotations"]
    (seconds,) = re.findall(r"idle_timeout\.timeout_seconds=(\d+)", " ".join(attributes.values()))
    assert float(seconds) < DEFAULT


def test_gke_checks_every_service_that_gets_requests() -> None:
    """A backend without a policy is checked at /, with the load balancer's own time limit."""
    everything = {"canary.enabled": True, "shadow.enabled": True}
    for values, names in (({}, {NAME}), (everything, {NAME, f"{NAME}-canary", f"{NAME}-shadow"})):
        release = template(values, "gke")
        (rule,) = release.spec("HTTPRoute")["rules"]
        routed = {backend["name"] for backend in rule["backendRefs"]}
        routed |= {mirror["requestMirror"]["backendRef"]["name"] for mirror in rule.get("filters", [])}
        assert routed == names
        for kind in ("HealthCheckPolicy", "GCPBackendPolicy"):
            policies = [item["spec"] for item in release.objects if item["kind"] == kind]
            assert {spec["targetRef"]["name"] for spec in policies} == names
            assert all(release.get("Service", spec["targetRef"]["name"]) for spec in policies)


@pytest.mark.parametrize("port", [3001, 0])
def test_gke_checks_health_where_the_probes_do(port: int) -> None:
    (policy,) = [
        item["spec"]
        for item in template({"settings.managementPort": port}, "gke").objects
        if item["kind"] == "HealthCheckPolicy"
    ]
    fixed = {"portSpecification": "USE_FIXED_PORT", "port": port} if port else {}
    assert policy["default"]["config"]["httpHealthCheck"] == {"requestPath": "/readyz"} | fixed


@pytest.mark.parametrize("profile", ["gke", "eks"])
def test_the_network_policy_lets_a_load_balancer_check_health(profile: str) -> None:
    requests, management = template({}, profile).spec("NetworkPolicy")["ingress"]
    blocks = [peer for peer in requests["from"] if "ipBlock" in peer]
    assert blocks
    assert [peer for peer in management["from"] if "ipBlock" in peer] == blocks


def test_aks_uses_no_nginx() -> None:
    assert "Ingress" not in template({}, "aks").kinds
    assert "nginx.ingress" not in template({}, "aks").text
