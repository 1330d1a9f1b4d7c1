"""The server's Deployment: how it is rolled out, probed and stopped, and what its pods may use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.chart.conftest import CHART, refusal, run_helm, template
from tests.chart.manifests import NAME, Manifests


def test_a_release_is_a_deployment_two_services_settings_an_account_a_budget_and_a_policy() -> None:
    assert sorted(template().names) == [
        f"ConfigMap {NAME}",
        f"Deployment {NAME}",
        f"NetworkPolicy {NAME}",
        f"Pod {NAME}-test",
        f"PodDisruptionBudget {NAME}",
        f"Service {NAME}",
        f"Service {NAME}-headless",
        f"ServiceAccount {NAME}",
    ]


def test_a_rollout_never_has_fewer_pods_than_wanted() -> None:
    assert template().spec("Deployment")["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_a_rollout_that_makes_no_progress_is_reported_and_can_be_undone() -> None:
    spec = template().spec("Deployment")
    assert (spec["minReadySeconds"], spec["progressDeadlineSeconds"], spec["revisionHistoryLimit"]) == (5, 300, 5)


def test_a_rollout_that_could_replace_no_pod_is_refused() -> None:
    assert "no pod could be replaced" in refusal({"rollout.maxSurge": 0})


def test_there_are_as_many_pods_as_the_values_say() -> None:
    assert template({"replicaCount": 7}).spec("Deployment")["replicas"] == 7


def test_the_selector_is_not_changed_by_versions_so_that_an_upgrade_is_possible() -> None:
    changed = {"image.tag": "2.0", "model.tag": "m:2", "podLabels": {"a": "b"}, "commonLabels": {"c": "d"}}
    assert template(changed).spec("Deployment")["selector"] == template().spec("Deployment")["selector"]


def test_a_new_version_of_the_chart_alone_restarts_no_pod(tmp_path: Path) -> None:
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


def test_readiness_and_liveness_ask_different_questions() -> None:
    server = template().server()
    assert server["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert server["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}


def test_a_hung_pod_is_killed_sooner_than_one_that_leaves() -> None:
    release = template()
    grace = release.server()["livenessProbe"]["terminationGracePeriodSeconds"]
    assert grace < release.pod()["spec"]["terminationGracePeriodSeconds"]


def test_liveness_waits_for_the_start_which_may_take_a_minute() -> None:
    startup = template().server()["startupProbe"]
    assert startup["httpGet"]["path"] == "/readyz"
    assert startup["periodSeconds"] * startup["failureThreshold"] == 60


def test_a_pod_has_time_for_the_endpoint_to_go_the_drain_and_the_last_answer() -> None:
    release = template()
    spec, settings = release.pod()["spec"], release.settings
    sleep = release.server()["lifecycle"]["preStop"]["sleep"]["seconds"]
    leave = sleep + float(settings["DRAIN_DELAY"]) + float(settings["DEADLINE_MS"]) / 1000
    assert spec["terminationGracePeriodSeconds"] > leave


@pytest.mark.parametrize(
    "values", [{"settings.drainDelay": 60}, {"settings.deadlineMs": 60_000}, {"shutdown.preStopSeconds": 60}]
)
def test_a_grace_period_that_would_cut_off_requests_is_refused(values: dict[str, int]) -> None:
    message = refusal(values)
    assert "shutdown.gracePeriodSeconds (45) must be more than" in message
    assert "pods are killed with requests under way" in message


def test_no_sleep_before_the_stop_leaves_no_hook() -> None:
    assert "lifecycle" not in template({"shutdown.preStopSeconds": 0}).server()


def test_threads_come_from_the_cpu_limit() -> None:
    assert template().env()["THREADS"] == {
        "resourceFieldRef": {"containerName": "server", "resource": "limits.cpu", "divisor": "1"}
    }


def test_without_a_cpu_limit_threads_are_left_to_the_service_not_taken_from_the_node() -> None:
    release = template({"resources.limits": {"cpu": None}})
    assert "THREADS" not in release.env()
    assert "THREADS" not in release.settings


def test_threads_of_one_s_own_go_before_the_limit() -> None:
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


def test_pods_are_spread_over_zones_and_nodes_each_version_by_itself() -> None:
    spread = template().pod()["spec"]["topologySpreadConstraints"]
    assert [item["topologyKey"] for item in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert all(item["matchLabelKeys"] == ["pod-template-hash"] for item in spread)
    assert all(item["whenUnsatisfiable"] == "ScheduleAnyway" for item in spread)


def test_a_spread_of_one_s_own_replaces_ours() -> None:
    own = [{"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}]
    assert template({"topologySpreadConstraints": own}).pod()["spec"]["topologySpreadConstraints"] == own


def test_a_gpu_is_a_limit_and_tolerates_the_taint_of_its_nodes() -> None:
    release = template({"gpu.enabled": True, "gpu.count": 2, "tolerations": [{"key": "mine"}]})
    assert release.server()["resources"]["limits"]["nvidia.com/gpu"] == 2
    keys = [toleration["key"] for toleration in release.pod()["spec"]["tolerations"]]
    assert keys == ["nvidia.com/gpu", "mine"]


def test_what_is_given_as_extra_reaches_the_pod() -> None:
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


def test_where_pods_run_can_be_said() -> None:
    where = {
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "nodeSelector": {"disk": "ssd"},
        "affinity": {"nodeAffinity": {}},
        "imagePullSecrets": [{"name": "registry"}],
    }
    spec = template(where).pod()["spec"]
    assert {key: spec[key] for key in where} == where


def test_further_objects_are_templates_whether_they_are_text_or_maps() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ .Release.Name }}-text"
    as_map = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": '{{ include "image-classifier.fullname" . }}'}}
    release = template({"extraObjects": [text, as_map]})
    assert release.find("Secret", "web-text")
    assert release.find("Secret", NAME)
