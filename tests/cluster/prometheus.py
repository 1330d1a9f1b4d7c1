"""Run Debian's Prometheus in a pod, from an image of the tests' own, with the chart's own alerts."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from cluster.images import archive, programs
from tests.cluster import workloads
from tests.cluster.kubectl import Cluster
from tests.cluster.product import CHART, Release, digest, push_archive

OPERATOR = "monitoring.coreos.com/v1"


@dataclass(frozen=True)
class Prometheus:
    cluster: Cluster
    namespace: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask(f"query?query={quote(expression, safe='')}")["result"]
        return found

    def alerts(self) -> dict[str, str]:
        """Return the state, by name, of the alerts that are pending or firing."""
        return {alert["labels"]["alertname"]: alert["state"] for alert in self._ask("alerts")["alerts"]}

    def _ask(self, path: str) -> Any:
        base = f"/api/v1/namespaces/{self.namespace}/services/prometheus:9090/proxy/api/v1"
        return json.loads(self.cluster.kubectl("get", "--raw", f"{base}/{path}"))["data"]


def image(registry: str, folder: Path) -> str:
    """Build and push the image; return its name by digest."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    files = {"/bin/prometheus": Path(program), **programs.libraries(Path(program))}
    packed = folder / "prometheus.tar"
    archive.write(packed, "localhost/prometheus:test", files, entrypoint=["/bin/prometheus"], user=programs.NOBODY)
    push_archive(packed, "localhost/prometheus:test", f"{registry}/prometheus:test")
    return f"{registry}/prometheus@{digest(registry, 'prometheus', 'test')}"


def start(release: Release, name: str, rules: dict[str, Any], *jobs: dict[str, Any]) -> Prometheus:
    """Start Prometheus beside the release; it finds pods by the headless Service, as Debian's build lacks Kubernetes.

    Args:
        jobs: scrape configurations to add.
    """
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["/etc/prometheus/rules.yaml"],
        "scrape_configs": [
            {
                "job_name": "pods",
                "dns_sd_configs": [
                    {"names": [f"{release.fullname}-headless"], "type": "A", "port": 3001, "refresh_interval": "2s"}
                ],
                # The Prometheus Operator would take these labels from the ServiceMonitor and the pods.
                "relabel_configs": [
                    {"target_label": "namespace", "replacement": release.namespace},
                    {"target_label": "app_kubernetes_io_instance", "replacement": release.name},
                    {"target_label": "app_kubernetes_io_name", "replacement": "image-classifier"},
                    {"target_label": "app_kubernetes_io_component", "replacement": "server"},
                    {"source_labels": ["__address__"], "target_label": "pod"},
                ],
            },
            *jobs,
        ],
    }
    files = {"prometheus.yaml": yaml.safe_dump(configuration), "rules.yaml": yaml.safe_dump(rules)}
    mounts = [{"name": "configuration", "mountPath": "/etc/prometheus"}, {"name": "data", "mountPath": "/data"}]
    pod = workloads.pod(
        "prometheus",
        name,
        "--config.file=/etc/prometheus/prometheus.yaml",
        "--storage.tsdb.path=/data",
        volumeMounts=mounts,
        readinessProbe={"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
    )
    pod["spec"]["volumes"] = [
        {"name": "configuration", "configMap": {"name": "prometheus"}},
        {"name": "data", "emptyDir": {}},
    ]
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prometheus"}, "data": files}
    release.cluster.apply(release.namespace, configmap, pod, workloads.service("prometheus", port=9090))
    release.cluster.kubectl(
        *("-n", release.namespace, "wait", "--for=condition=Ready", "pod/prometheus", "--timeout=120s")
    )
    return Prometheus(release.cluster, release.namespace)


def rules(release: Release) -> dict[str, Any]:
    """Return the chart's alerts; the one for shedding looks at seconds, not minutes, so that a test sees it end."""
    found = _rendered(release, "prometheusRule.enabled=true", "prometheusrule.yaml")["spec"]
    (shedding,) = (
        rule for group in found["groups"] for rule in group["rules"] if rule.get("alert") == "ImageClassifierShedding"
    )
    shedding["expr"], shedding["for"] = shedding["expr"].replace("[5m]", "[20s]"), "3s"
    return {"groups": found["groups"]}


def panels(release: Release) -> dict[str, str]:
    """Return the panels' titles by query, each query as Grafana sends it for this release."""
    text = _rendered(release, "dashboard.enabled=true", "dashboard.yaml")["data"]["image-classifier.json"]
    chosen = {"$__rate_interval": "5m", "$namespace": release.namespace, "$release": release.name}
    chosen["$name"] = "image-classifier"

    def fill(query: str) -> str:
        return re.sub(r"\$\w+", lambda found: chosen[found[0]], query)

    return {fill(target["expr"]): panel["title"] for panel in json.loads(text)["panels"] for target in panel["targets"]}


def _rendered(release: Release, switch: str, template: str) -> Any:
    only = ("--api-versions", OPERATOR, "--set", switch, "--show-only", f"templates/{template}")
    return yaml.safe_load(release.helm("template", release.name, CHART, *only))
