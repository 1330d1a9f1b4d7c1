"""The server's Deployment: rollout, probes, shutdown, resources and scheduling."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.chart.conftest import CHART, refusal, run_helm, template
from tests.chart.manifests import NAME, Manifests


def test_the_default_values_create_exactly_these_objects() -> None:
    assert sorted(template().names) == [
        f"ConfigMap {NAME}",
        f"Deployment {NAME}",
        f"NetworkPolicy {NAME}",
        f"NetworkPolicy {NAME}-test",
        f"Pod {NAME}-test",
        f"PodDisruptionBudget {NAME}",
        f"Service {NAME}",
        f"Service {NAME}-headless",
        f"ServiceAccount {NAME}",
    ]


def test_a_rollout_never_has_fewer_pods_than_replicas() -> None:
    assert template().spec("Deployment")["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_a_stuck_rollout_fails_and_can_be_rolled_back() -> None:
    spec = template().spec("Deployment")
    assert (spec["minReadySeconds"], spec["progressDeadlineSeconds"], spec["revisionHistoryLimit"]) == (5, 300, 5)


def test_a_rollout_that_could_replace_no_pod_is_refused() -> None:
    assert "no pod could be replaced" in refusal({"rollout.maxSurge": 0})


def test_replica_count_sets_the_number_of_pods() -> None:
    assert template({"replicaCount": 7}).spec("Deployment")["replicas"] == 7


def test_an_upgrade_does_not_change_the_selector() -> None:
    changed = {"image.tag": "2.0", "model.tag": "m:2", "podLabels": {"a": "b"}, "commonLabels": {"c": "d"}}
    assert template(changed).spec("Deployment")["selector"] == template().spec("Deployment")["selector"]


def test_a_new_chart_version_alone_restarts_no_pod(tmp_path: Path) -> None:
    chart = tmp_path / "image-classifier"
    shutil.copytree(CHART, chart)
    about = chart / "Chart.yaml"
    about.write_text(about.read_text().replace("ersion: 0.1.0", "ersion: 9.9.9"))
    for image in ("image.tag=v7", "image.digest=sha256:" + "0" * 64):
        pods = [
            Manifests.parse(run_helm("template", "web", str(folder), "--set", image)).pod() for folder in (CHART, chart)
        ]
        assert pods[0] == pods[1]
    assert "9.9.9" in run_helm("template", "web", str(chart))


def test_readiness_and_liveness_use_different_endpoints() -> None:
    server = template().server()
    assert server["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "management"}
    assert server["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "management"}


def test_a_hung_pod_has_a_shorter_grace_period_than_a_stopping_pod() -> None:
    release = template()
    grace = release.server()["livenessProbe"]["terminationGracePeriodSeconds"]
    assert grace < release.pod()["spec"]["terminationGracePeriodSeconds"]


def test_the_startup_probe_allows_one_minute() -> None:
    startup = template().server()["startupProbe"]
    assert startup["httpGet"]["path"] == "/readyz"
    assert startup["periodSeconds"] * startup["failureThreshold"] == 60


def test_the_grace_period_covers_pre_stop_drain_and_deadline() -> None:
    release = template()
    spec, settings = release.pod()["spec"], release.settings
    sleep = release.server()["lifecycle"]["preStop"]["sleep"]["seconds"]
    leave = sleep + float(settings["DRAIN_DELAY"]) + float(settings["DEADLINE_MS"]) / 1000
    assert spec["terminationGracePeriodSeconds"] > leave


@pytest.mark.parametrize(
    "values", [{"settings.drainDelay": 60}, {"settings.deadlineMs": 60_000}, {"shutdown.preStopSeconds": 60}]
)
def test_a_grace_period_that_is_too_short_is_refused(values: dict[str, int]) -> None:
    message = refusal(values)
    assert "shutdown.gracePeriodSeconds (45) must be more than" in message
    assert "pods are killed with requests in flight" in message


def test_a_pre_stop_time_of_zero_removes_the_hook() -> None:
    assert "lifecycle" not in template({"shutdown.preStopSeconds": 0}).server()


def test_threads_come_from_the_cpu_limit() -> None:
    assert template().env()["THREADS"] == {
        "resourceFieldRef": {"containerName": "server", "resource": "limits.cpu", "divisor": "1"}
    }


def test_without_a_cpu_limit_the_chart_does_not_set_threads() -> None:
    release = template({"resources.limits": {"cpu": None}})
    assert "THREADS" not in release.env()
    assert "THREADS" not in release.settings


def test_the_pod_itself_sets_the_management_port_that_its_probes_ask() -> None:
    """The kind: a pod of an older revision that restarts reads the newest ConfigMap, but keeps its own probes."""
    release = template({"settings.managementPort": 4000})
    assert release.env()["MANAGEMENT_PORT"] == "4000"
    assert {"name": "management", "containerPort": 4000} in release.server()["ports"]
    assert "MANAGEMENT_PORT" not in release.settings


def test_without_a_management_port_probes_ask_the_only_port() -> None:
    release = template({"settings.managementPort": 0})
    assert "MANAGEMENT_PORT" not in release.env() | release.settings
    server = release.server()
    assert [server[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "readiness", "liveness")] == ["http"] * 3


def test_the_port_of_the_requests_is_no_management_port() -> None:
    assert "settings.managementPort 3000 is the port of the requests." in refusal({"settings.managementPort": 3000})


def test_only_named_groups_of_routes_are_switched_off() -> None:
    # The service refuses an empty value.
    assert "DISABLED_ROUTES" not in template().settings
    assert template({"settings.disabledRoutes": "docs"}).settings["DISABLED_ROUTES"] == "docs"
    assert "disabledRoutes" in refusal({"settings.disabledRoutes": "predict"})


def test_only_named_origins_are_set() -> None:
    # The service refuses an empty value.
    assert "CORS_ORIGINS" not in template().settings
    origin = "https://app.example.com"
    assert template({"settings.corsOrigins": origin}).settings["CORS_ORIGINS"] == origin


def test_configured_threads_override_the_cpu_limit() -> None:
    release = template({"settings.threads": 3})
    assert "THREADS" not in release.env()
    assert release.settings["THREADS"] == "3"


def test_every_pod_has_limits_of_cpu_memory_and_disk() -> None:
    assert set(template().server()["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}


def test_a_changed_setting_restarts_the_pods() -> None:
    def checksum(values: dict[str, int]) -> str:
        return str(template(values).pod()["metadata"]["annotations"]["checksum/settings"])

    assert checksum({"settings.queueLimit": 7}) != checksum({})
    assert checksum({"replicaCount": 7}) == checksum({})


def test_each_version_is_spread_over_zones_and_nodes() -> None:
    spread = template().pod()["spec"]["topologySpreadConstraints"]
    assert [item["topologyKey"] for item in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert all(item["matchLabelKeys"] == ["pod-template-hash"] for item in spread)
    assert all(item["whenUnsatisfiable"] == "ScheduleAnyway" for item in spread)


def test_custom_spread_constraints_replace_the_default() -> None:
    own = [{"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}]
    assert template({"topologySpreadConstraints": own}).pod()["spec"]["topologySpreadConstraints"] == own


def test_a_gpu_sets_a_limit_and_a_toleration() -> None:
    release = template({"gpu.enabled": True, "gpu.count": 2, "tolerations": [{"key": "mine"}]})
    assert release.server()["resources"]["limits"]["nvidia.com/gpu"] == 2
    keys = [toleration["key"] for toleration in release.pod()["spec"]["tolerations"]]
    assert keys == ["nvidia.com/gpu", "mine"]


def test_extra_values_reach_the_pod() -> None:
    release = template(
        {
            "extraEnv": [{"name": "A", "value": "b"}],
            "extraEnvFrom": [{"secretRef": {"name": "s"}}],
            "extraVolumes": [{"name": "v", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}],
            "extraContainers": [{"name": "beside", "image": "i"}],
            "extraInitContainers": [{"name": "before", "image": "i"}],
        }
    )
    server, spec = release.server(), release.pod()["spec"]
    assert {"name": "A", "value": "b"} in server["env"]
    assert {"secretRef": {"name": "s"}} in server["envFrom"]
    assert {"name": "v", "mountPath": "/v"} in server["volumeMounts"]
    assert {"name": "v", "emptyDir": {}} in spec["volumes"]
    assert [container["name"] for container in spec["containers"]] == ["server", "beside"]
    assert [container["name"] for container in spec["initContainers"]] == ["before"]


def test_scheduling_values_reach_the_pod() -> None:
    where = {
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "nodeSelector": {"disk": "ssd"},
        "affinity": {"nodeAffinity": {}},
        "imagePullSecrets": [{"name": "registry"}],
    }
    spec = template(where).pod()["spec"]
    assert {key: spec[key] for key in where} == where


def test_extra_objects_are_rendered_as_templates_from_text_and_maps() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ .Release.Name }}-text"
    as_map = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": '{{ include "image-classifier.fullname" . }}'}}
    release = template({"extraObjects": [text, as_map]})
    assert release.find("Secret", "web-text")
    assert release.find("Secret", NAME)
