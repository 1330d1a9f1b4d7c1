"""HorizontalPodAutoscaler, KEDA and the PodDisruptionBudget."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.conftest import refusal, template
from tests.chart.manifests import NAME

HPA = {"autoscaling.enabled": True}
KEDA = {"keda.enabled": True}
CANARY = {"canary.enabled": True}


def test_no_autoscaler_is_created_by_default() -> None:
    assert not template().kinds & {"HorizontalPodAutoscaler", "ScaledObject"}


@pytest.mark.parametrize("values", [HPA, KEDA])
def test_an_autoscaler_removes_replicas_from_the_deployment(values: dict[str, Any]) -> None:
    assert "replicas" not in template(values).spec("Deployment")


def test_two_autoscalers_are_refused() -> None:
    assert "autoscaling.enabled and keda.enabled cannot be combined" in refusal(HPA | KEDA)


def test_the_hpa_measures_the_cpu_of_the_server_container_only() -> None:
    spec = template(HPA).spec("HorizontalPodAutoscaler")
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 10)
    (metric,) = spec["metrics"]
    target = {"type": "Utilization", "averageUtilization": 70}
    assert metric["containerResource"] == {"name": "cpu", "container": "server", "target": target}


def test_the_hpa_can_use_requests_in_flight_and_custom_metrics() -> None:
    own = {"type": "External", "external": {"metric": {"name": "x"}, "target": {"type": "Value", "value": "1"}}}
    values = HPA | {
        "autoscaling.targetCPUUtilizationPercentage": 0,
        "autoscaling.targetInFlight": 4,
        "autoscaling.metrics": [own],
    }
    in_flight, external = template(values).spec("HorizontalPodAutoscaler")["metrics"]
    assert in_flight["pods"]["metric"] == {"name": "image_classifier_in_flight"}
    assert in_flight["pods"]["target"] == {"type": "AverageValue", "averageValue": "4"}
    assert external == own


def test_an_autoscaler_without_a_metric_is_refused() -> None:
    assert "autoscaling.enabled needs a metric" in refusal(HPA | {"autoscaling.targetCPUUtilizationPercentage": 0})


def test_a_cpu_target_without_a_cpu_request_is_refused() -> None:
    assert "resources.requests.cpu, which is not set" in refusal(HPA | {"resources.requests": {"cpu": None}})


@pytest.mark.parametrize("name", ["autoscaling", "keda"])
def test_a_minimum_above_the_maximum_is_refused(name: str) -> None:
    message = refusal({f"{name}.enabled": True, f"{name}.minReplicas": 11})
    assert f"{name}.minReplicas (11) is greater than {name}.maxReplicas (10)" in message


def test_the_hpa_scales_up_fast_and_down_slowly() -> None:
    behavior = template(HPA).spec("HorizontalPodAutoscaler")["behavior"]
    up, down = behavior["scaleUp"], behavior["scaleDown"]
    assert (up["stabilizationWindowSeconds"], down["stabilizationWindowSeconds"]) == (0, 300)
    assert {"type": "Percent", "value": 100, "periodSeconds": 15} in up["policies"]
    assert down["policies"] == [{"type": "Percent", "value": 10, "periodSeconds": 60}]


def test_keda_scales_on_requests_in_flight_and_queue_depth_of_this_release() -> None:
    spec = template(KEDA).spec("ScaledObject")
    assert spec["scaleTargetRef"] == {"name": NAME}
    (trigger,) = spec["triggers"]
    query = trigger["metadata"]["query"]
    series = (
        '{namespace="ml", app_kubernetes_io_instance="web", app_kubernetes_io_name="image-classifier", '
        'app_kubernetes_io_component="server"}'
    )
    assert query == f"sum(image_classifier_in_flight{series}) + sum(image_classifier_queue_depth{series})"


def test_keda_keeps_its_pods_when_prometheus_fails_or_returns_nothing() -> None:
    spec = template(KEDA).spec("ScaledObject")
    assert spec["fallback"] == {"failureThreshold": 3, "replicas": 3, "behavior": "currentReplicasIfHigher"}
    assert spec["triggers"][0]["metadata"]["ignoreNullValues"] == "false"


def test_keda_uses_the_scaling_behavior_of_the_hpa() -> None:
    keda = template(KEDA).spec("ScaledObject")["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert keda == template(HPA).spec("HorizontalPodAutoscaler")["behavior"]


def test_scaling_to_zero_without_a_query_is_refused() -> None:
    to_zero = KEDA | {"keda.minReplicas": 0}
    refused = refusal(to_zero)
    assert "keda.minReplicas is 0, but keda.query is empty" in refused
    assert "a query that returns a value even while there are no pods" in refused
    spec = template(to_zero | {"keda.query": "sum(gateway_requests)"}).spec("ScaledObject")
    assert (spec["minReplicaCount"], spec["triggers"][0]["metadata"]["query"]) == (0, "sum(gateway_requests)")


@pytest.mark.parametrize(
    ("values", "there"),
    [
        ({}, True),
        ({"replicaCount": 1}, False),
        (HPA, True),
        (HPA | {"autoscaling.minReplicas": 1}, True),
        (HPA | {"autoscaling.minReplicas": 1, "autoscaling.maxReplicas": 1}, False),
        (KEDA, True),
        (KEDA | {"keda.maxReplicas": 1}, False),
        ({"pdb.enabled": False}, False),
    ],
)
def test_a_disruption_budget_is_created_only_if_there_can_be_more_than_one_pod(
    values: dict[str, Any], there: bool
) -> None:
    assert ("PodDisruptionBudget" in template(values).kinds) is there


@pytest.mark.parametrize(
    ("values", "there"), [({}, False), ({"canary.replicaCount": 2}, True), (HPA, True), (KEDA, True)]
)
def test_the_canary_has_a_disruption_budget_of_its_own(values: dict[str, Any], there: bool) -> None:
    budget = template(CANARY | values).find("PodDisruptionBudget", f"{NAME}-canary")
    assert (budget is not None) is there
    if budget:
        assert budget["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == "canary"


def test_a_canary_without_an_autoscaler_keeps_its_number_of_pods() -> None:
    """A canary that is set while the load is low must not stay at that size when the load rises.

    With an autoscaler of the server it has one of its own. These are the cases without.
    """
    for values in ({}, KEDA | {"keda.query": "sum(gateway_requests)"}):
        release = template(CANARY | values | {"canary.replicaCount": 3})
        assert release.spec("Deployment", f"{NAME}-canary")["replicas"] == 3
        assert release.find("ScaledObject", f"{NAME}-canary") is None


@pytest.mark.parametrize(
    ("values", "kind", "limits"),
    [
        (HPA, "HorizontalPodAutoscaler", ("minReplicas", "maxReplicas")),
        (KEDA, "ScaledObject", ("minReplicaCount", "maxReplicaCount")),
    ],
)
def test_the_canary_scales_with_its_own_load(values: dict[str, Any], kind: str, limits: tuple[str, str]) -> None:
    release = template(CANARY | values | {"canary.replicaCount": 3})
    server, canary = release.spec(kind), release.spec(kind, f"{NAME}-canary")
    assert canary["scaleTargetRef"]["name"] == f"{NAME}-canary"
    assert [canary[limit] for limit in limits] == [3, server[limits[1]]]
    assert "replicas" not in release.spec("Deployment", f"{NAME}-canary")
    for what in ("metrics", "behavior", "advanced", "fallback"):
        assert canary.get(what) == server.get(what)
    if kind == "ScaledObject":
        (ours,), (theirs,) = canary["triggers"], server["triggers"]
        assert ours["metadata"]["query"] == theirs["metadata"]["query"].replace('"server"', '"canary"')


def test_a_canary_that_was_set_larger_than_the_maximum_keeps_its_pods() -> None:
    spec = template(CANARY | HPA | {"canary.replicaCount": 12}).spec("HorizontalPodAutoscaler", f"{NAME}-canary")
    assert (spec["minReplicas"], spec["maxReplicas"]) == (12, 12)


def test_an_unready_pod_does_not_block_the_drain_of_a_node() -> None:
    spec = template().spec("PodDisruptionBudget")
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
