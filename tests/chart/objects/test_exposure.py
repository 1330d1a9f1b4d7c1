"""Service, Ingress and HTTPRoute, with the canary and the shadow behind them."""

from __future__ import annotations

import pytest

from tests.chart.conftest import refusal, template
from tests.chart.manifests import NAME
from tests.chart.objects.test_security import GATEWAY

ROUTE = GATEWAY | {"networkPolicy.gatewayNamespaces": ["g"]}
INGRESS = {"ingress.enabled": True, "networkPolicy.gatewayNamespaces": ["g"]}
CANARY = {"canary.enabled": True, "canary.image": {"tag": "next"}}


def test_nothing_is_exposed_by_default() -> None:
    assert not template().kinds & {"Ingress", "HTTPRoute"}
    assert template().spec("Service")["type"] == "ClusterIP"


def test_the_service_forwards_port_80_to_the_container() -> None:
    release = template()
    (port,) = release.spec("Service")["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == ("http", 80, "http")
    assert {"name": "http", "containerPort": 3000} in release.server()["ports"]


def test_no_service_that_a_gateway_leads_to_has_the_management_port() -> None:
    """The kind: metrics and versions are public wherever a gateway leads to the port that has them."""
    release = template(ROUTE | {"canary.enabled": True, "shadow.enabled": True})
    services = {
        item["metadata"]["name"]: item["spec"]["ports"] for item in release.objects if item["kind"] == "Service"
    }
    assert {name: [port["targetPort"] for port in ports] for name, ports in services.items()} == {
        NAME: ["http"],
        f"{NAME}-canary": ["http"],
        f"{NAME}-shadow": ["http"],
        f"{NAME}-headless": ["management"],
    }


def test_alb_checks_the_pods_where_their_probes_do() -> None:
    def annotations(port: int) -> dict[str, str]:
        values = INGRESS | {"ingress.className": "alb", "settings.managementPort": port}
        found: dict[str, str] = template(values).get("Ingress")["metadata"]["annotations"]
        return found

    check = "alb.ingress.kubernetes.io/healthcheck"
    assert annotations(3001) == {f"{check}-path": "/readyz", f"{check}-port": "3001"}
    assert annotations(0) == {f"{check}-path": "/readyz"}


def test_the_headless_service_lists_unready_pods_too() -> None:
    spec = template().spec("Service", f"{NAME}-headless")
    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)


def test_an_ingress_has_class_hosts_and_certificates() -> None:
    tls = [{"hosts": ["a.example.com"], "secretName": "t"}]
    spec = template(
        INGRESS | {"ingress.className": "x", "ingress.hosts": ["a.example.com", "b.example.com"], "ingress.tls": tls}
    ).spec("Ingress")
    assert (spec["ingressClassName"], spec["tls"]) == ("x", tls)
    assert [rule["host"] for rule in spec["rules"]] == ["a.example.com", "b.example.com"]
    for rule in spec["rules"]:
        (path,) = rule["http"]["paths"]
        assert path["backend"]["service"] == {"name": NAME, "port": {"name": "http"}}


def test_an_ingress_without_hosts_accepts_every_host() -> None:
    (rule,) = template(INGRESS).spec("Ingress")["rules"]
    assert "host" not in rule


def test_nginx_gets_the_body_limit_and_the_timeout() -> None:
    values = INGRESS | {"ingress.className": "nginx", "ingress.timeoutSeconds": 90, "settings.maxBodyBytes": 5_000_000}
    annotations = template(values).get("Ingress")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == "5000000"
    assert annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "90"


def test_contour_gets_the_timeout() -> None:
    annotations = template(INGRESS | {"ingress.className": "contour"}).get("Ingress")["metadata"]["annotations"]
    assert annotations["projectcontour.io/response-timeout"] == "60s"


@pytest.mark.parametrize(
    ("name", "retries", "expected"),
    [
        (
            "nginx",
            2,
            {"proxy-next-upstream": "error http_502 http_503 non_idempotent", "proxy-next-upstream-tries": "3"},
        ),
        ("nginx", 0, {}),
        ("contour", 2, {"retry-on": "gateway-error,reset,connect-failure", "num-retries": "2"}),
        ("contour", 0, {}),
    ],
)
def test_an_ingress_tries_another_pod_after_a_503(name: str, retries: int, expected: dict[str, str]) -> None:
    """Classifying twice is safe, so the requests that a hung pod refuses need not reach the client."""
    values = INGRESS | {"ingress.className": name, "ingress.retries": retries}
    annotations = template(values).get("Ingress")["metadata"]["annotations"]
    given = {key.split("/")[1]: value for key, value in annotations.items()}
    assert {key: value for key, value in given.items() if "next" in key or "retr" in key} == expected


def test_a_route_retries_only_on_request() -> None:
    (rule,) = template(ROUTE | {"httpRoute.retries": 1}).spec("HTTPRoute")["rules"]
    assert rule["retry"] == {"attempts": 1, "codes": [502, 503]}
    assert "retry" not in template(ROUTE).spec("HTTPRoute")["rules"][0]


def test_all_services_get_the_families_of_addresses() -> None:
    families = {"service.ipFamilyPolicy": "PreferDualStack", "service.ipFamilies": ["IPv6", "IPv4"]}
    shadow = ROUTE | CANARY | {"shadow.enabled": True}
    services = [item["spec"] for item in template(shadow | families).objects if item["kind"] == "Service"]
    assert len(services) == 4
    for spec in services:
        assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == ("PreferDualStack", ["IPv6", "IPv4"])
    assert not {"ipFamilyPolicy", "ipFamilies"} & template().spec("Service").keys()


def test_custom_annotations_override_those_of_the_chart() -> None:
    key = "nginx.ingress.kubernetes.io/proxy-body-size"
    values = INGRESS | {"ingress.className": "nginx", "ingress.annotations": {key: "1m"}}
    assert template(values).get("Ingress")["metadata"]["annotations"][key] == "1m"


def test_a_route_sends_all_requests_to_the_server() -> None:
    spec = template(ROUTE | {"httpRoute.hostnames": ["a.example.com"]}).spec("HTTPRoute")
    assert (spec["parentRefs"], spec["hostnames"]) == ([{"name": "g"}], ["a.example.com"])
    (rule,) = spec["rules"]
    assert rule["backendRefs"] == [{"name": NAME, "port": 80}]
    assert rule["timeouts"] == {"request": "60s"}
    assert "filters" not in rule


def test_a_route_without_a_gateway_is_refused() -> None:
    assert "httpRoute.enabled needs httpRoute.parentRefs" in refusal({"httpRoute.enabled": True})


@pytest.mark.parametrize("weight", [0, 25, 100])
def test_a_route_splits_requests_by_canary_weight(weight: int) -> None:
    (rule,) = template(ROUTE | CANARY | {"canary.weight": weight}).spec("HTTPRoute")["rules"]
    assert rule["backendRefs"] == [
        {"name": NAME, "port": 80, "weight": 100 - weight},
        {"name": f"{NAME}-canary", "port": 80, "weight": weight},
    ]


def test_with_a_route_the_service_does_not_select_the_canary() -> None:
    selector = template(ROUTE | CANARY).spec("Service")["selector"]
    assert selector["app.kubernetes.io/component"] == "server"


def test_without_a_route_server_and_canary_share_one_service() -> None:
    release = template(CANARY)
    selector = release.spec("Service")["selector"]
    for name in (NAME, f"{NAME}-canary"):
        assert selector.items() <= release.pod(name)["metadata"]["labels"].items()


def test_the_canary_differs_from_the_server_only_in_its_own_values() -> None:
    release = template(CANARY | {"canary.replicaCount": 3, "canary.model": {"tag": "m:2"}})
    server, canary = release.spec("Deployment"), release.spec("Deployment", f"{NAME}-canary")
    assert canary["replicas"] == 3
    assert release.server(f"{NAME}-canary")["image"] == "image-classifier:next"
    assert release.env(f"{NAME}-canary")["MODEL_TAG"] == "m:2"
    assert "MODEL_TAG" not in release.env()
    same = ("strategy", "minReadySeconds", "progressDeadlineSeconds")
    assert {key: canary[key] for key in same} == {key: server[key] for key in same}
    for key in ("resources", "startupProbe", "readinessProbe", "livenessProbe", "securityContext", "envFrom"):
        assert release.server(f"{NAME}-canary")[key] == release.server()[key]


def test_the_canary_tag_overrides_the_server_digest() -> None:
    release = template(CANARY | {"image.digest": "sha256:" + "0" * 64})
    assert release.server(f"{NAME}-canary")["image"] == "image-classifier:next"


def test_a_canary_without_an_image_uses_the_server_image() -> None:
    digest = "sha256:" + "0" * 64
    release = template({"canary.enabled": True, "canary.model": {"tag": "m:2"}, "image.digest": digest})
    assert release.server(f"{NAME}-canary")["image"] == f"image-classifier@{digest}"


def test_a_shadow_gets_only_copies_of_requests() -> None:
    release = template(ROUTE | CANARY | {"shadow.enabled": True, "shadow.image": {"tag": "dark"}})
    (rule,) = release.spec("HTTPRoute")["rules"]
    (mirror,) = rule["filters"]
    assert mirror == {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": f"{NAME}-shadow", "port": 80}}}
    assert f"{NAME}-shadow" not in [backend["name"] for backend in rule["backendRefs"]]
    assert release.server(f"{NAME}-shadow")["image"] == "image-classifier:dark"


def test_a_shadow_without_a_route_is_refused() -> None:
    assert "only the Gateway API can copy requests" in refusal({"shadow.enabled": True})


def test_a_route_without_the_gateway_api_is_refused_with_advice() -> None:
    message = refusal(ROUTE, crds=False)
    assert "httpRoute.enabled needs the API gateway.networking.k8s.io/v1" in message
    assert "--api-versions gateway.networking.k8s.io/v1" in message
