"""Monitors and rules: how Prometheus finds the pods, and which series the rules query."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bento.telemetry import metrics
from tests.chart.conftest import refusal, template
from tests.chart.manifests import NAME
from tests.chart.monitoring.series import unknown_series
from tests.chart.switches import SWITCHES

ALERTS = {"prometheusRule.enabled": True, "autoscaling.enabled": True}


def rules(values: dict[str, Any]) -> list[dict[str, Any]]:
    groups = template(values).spec("PrometheusRule")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_monitors_rules_and_dashboard_are_off_by_default() -> None:
    assert not template().kinds & {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
    assert template().find("ConfigMap", f"{NAME}-dashboard") is None


def test_a_service_monitor_finds_each_pod_once_through_the_headless_service() -> None:
    release = template(SWITCHES["service monitor"] | {"canary.enabled": True})
    monitor = release.spec("ServiceMonitor")
    selector = monitor["selector"]["matchLabels"]
    services = [item for item in release.objects if item["kind"] == "Service"]
    assert len(services) == 3
    found = [item["metadata"]["name"] for item in services if selector.items() <= item["metadata"]["labels"].items()]
    assert found == [f"{NAME}-headless"]
    (port,) = release.spec("Service", found[0])["ports"]
    assert [endpoint["port"] for endpoint in monitor["endpoints"]] == [port["name"]]
    assert release.get("ServiceMonitor")["metadata"]["labels"]["release"] == "prometheus"


def test_a_pod_monitor_finds_the_pods_by_the_name_of_their_port() -> None:
    release = template({"podMonitor.enabled": True})
    monitor = release.spec("PodMonitor")
    assert monitor["selector"]["matchLabels"].items() <= release.pod()["metadata"]["labels"].items()
    probed = release.server()["readinessProbe"]["httpGet"]["port"]
    assert probed in [port["name"] for port in release.server()["ports"]]
    assert [endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]] == [probed]


@pytest.mark.parametrize(("number", "name"), [(3001, "management"), (0, "http")])
def test_metrics_are_scraped_on_the_management_port_if_there_is_one(number: int, name: str) -> None:
    value = {"settings.managementPort": number}
    assert template(value | {"podMonitor.enabled": True}).spec("PodMonitor")["podMetricsEndpoints"][0]["port"] == name
    release = template(value | {"serviceMonitor.enabled": True})
    assert release.spec("ServiceMonitor")["endpoints"][0]["port"] == name
    (port,) = release.spec("Service", f"{NAME}-headless")["ports"]
    assert port == {"name": name, "port": number or 3000, "targetPort": name}


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor"])
def test_both_monitors_add_the_labels_that_the_rules_select(kind: str) -> None:
    monitor = template({f"{kind[0].lower()}{kind[1:]}.enabled": True}).spec(kind)
    labels = {re.sub(r"[./]", "_", label) for label in monitor["podTargetLabels"]}
    asked = set(re.findall(r"app_kubernetes_io_[a-z]+", " ".join(rule["expr"] for rule in rules(ALERTS))))
    assert asked
    assert asked <= labels


def test_both_monitors_at_once_are_refused() -> None:
    message = refusal({"serviceMonitor.enabled": True, "podMonitor.enabled": True})
    assert "Prometheus would count every pod twice" in message


@pytest.mark.parametrize("switch", ["serviceMonitor", "podMonitor", "prometheusRule"])
def test_monitoring_without_the_operator_is_refused_with_advice(switch: str) -> None:
    message = refusal({f"{switch}.enabled": True}, crds=False)
    assert f"{switch}.enabled needs the API monitoring.coreos.com/v1" in message


def test_every_rule_queries_series_that_the_service_exposes() -> None:
    assert unknown_series([rule["expr"] for rule in rules(ALERTS)]) == set()


def test_every_rule_selects_this_release_only() -> None:
    for rule in rules(ALERTS):
        for selector in re.findall(r"\{([^}]*)\}", rule["expr"]):
            assert 'namespace="ml"' in selector, rule
            assert 'instance="web"' in selector or 'release="web"' in selector or f'="{NAME}"' in selector, rule


def test_every_alert_has_a_severity_and_a_summary() -> None:
    alerts = [rule for rule in rules(ALERTS) if "alert" in rule]
    assert len(alerts) == 13
    for alert in alerts:
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert len(alert["annotations"]["summary"]) > 15
        assert alert["annotations"]["summary"].endswith(".")


def test_the_latency_objective_is_a_bucket_of_the_histogram() -> None:
    bounds = {str(bound) for bound in metrics._SECONDS} | {f"{float(bound)}" for bound in metrics._SECONDS}
    buckets = [rule["expr"] for rule in rules(ALERTS) if "_bucket" in rule["expr"] and "le=" in rule["expr"]]
    assert buckets
    assert {re.findall(r'le="([^"]+)"', expression)[0] for expression in buckets} <= bounds


def test_absent_metrics_fire_no_alert_when_keda_scales_to_zero() -> None:
    to_zero = {"prometheusRule.enabled": True, "keda.enabled": True, "keda.minReplicas": 0, "keda.query": "x"}
    names = {rule.get("alert") for rule in rules(to_zero)}
    assert "ImageClassifierMetricsAbsent" not in names
    assert "ImageClassifierMetricsAbsent" in {rule.get("alert") for rule in rules(ALERTS)}


def test_the_alert_at_the_maximum_uses_the_name_of_the_hpa_of_keda() -> None:
    (alert,) = [
        rule for rule in rules({"prometheusRule.enabled": True, "keda.enabled": True})
        if rule.get("alert") == "ImageClassifierAtMaxReplicas"
    ]  # fmt: skip
    assert f'horizontalpodautoscaler="keda-hpa-{NAME}"' in alert["expr"]
