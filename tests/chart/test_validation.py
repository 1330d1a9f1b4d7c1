"""Every switch and every profile, checked by kubeconform against the schemas of three Kubernetes versions."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.chart import crds
from tests.chart.conftest import CHART, PROFILES, ROOT, ChartError, run_helm, template
from tests.chart.switches import SWITCHES

# The oldest that the chart takes, and the newest.
VERSIONS = ("1.30.0", "1.34.0", "1.37.0")
# Of a cloud alone; their schemas are in no registry.
CLOUD_KINDS = "HealthCheckPolicy,GCPBackendPolicy"


@cache
def kubeconform() -> str:
    done = subprocess.run(
        [ROOT / "scripts/build-tools", ROOT / "tools/kubeconform"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("no kubeconform: " + done.stderr.strip().splitlines()[-1])
    return done.stdout.strip() + "/kubeconform"


@cache
def kubernetes_schemas() -> Path:
    done = subprocess.run([ROOT / "scripts/wheel", "kubernetes-schemas"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("no schemas of Kubernetes: " + done.stderr.strip().splitlines()[-1])
    return Path(done.stdout.strip()) / "kubernetes_validate/kubernetes-json-schema"


def validate(text: str, version: str) -> subprocess.CompletedProcess[str]:
    name = "{{ .ResourceKind }}{{ .KindSuffix }}.json"
    command = [kubeconform(), "-strict", "-summary", "-n", "2", "-kubernetes-version", version, "-skip", CLOUD_KINDS]
    for folder in (kubernetes_schemas() / f"v{version}-local-strict", crds.folder()):
        command += ["-schema-location", f"{folder}/{name}"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_renders_what_kubernetes_takes(switch: str, version: str) -> None:
    done = validate(template(SWITCHES[switch]).text, version)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_renders_what_kubernetes_takes(profile: str, version: str) -> None:
    for profiles in ((profile,), ("prod", profile)):
        done = validate(template({}, *profiles).text, version)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("switch", "right", "wrong"),
    [
        ("defaults", "progressDeadlineSeconds:", "progresDeadlineSeconds:"),
        ("defaults", "containerPort: 3000", "containerPort: http"),
        ("route", "backendRefs:", "backends:"),
        ("keda", "minReplicaCount:", "minReplicas:"),
        ("service monitor", "interval: 15s", "interval: 15 seconds"),
        ("alerts", "expr: ", "expression: "),
    ],
)
def test_a_mistake_in_a_template_is_found(switch: str, right: str, wrong: str) -> None:
    text = template(SWITCHES[switch]).text
    assert right in text
    assert validate(text, VERSIONS[1]).returncode == 0
    assert validate(text.replace(right, wrong), VERSIONS[1]).returncode == 1


def test_helm_itself_finds_nothing_to_criticise() -> None:
    for values in ([], *(["--values", f"{CHART}/values-{profile}.yaml"] for profile in PROFILES)):
        assert "0 chart(s) failed" in run_helm("lint", "--strict", str(CHART), *values)


def test_an_older_kubernetes_than_the_chart_is_made_for_is_refused() -> None:
    with pytest.raises(ChartError, match=r"chart requires kubeVersion: >=1\.30\.0-0"):
        run_helm("template", "web", str(CHART), "--kube-version", "1.29.0")
