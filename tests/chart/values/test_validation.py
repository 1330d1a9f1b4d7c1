"""kubeconform checks every switch and every profile against the schemas of three Kubernetes versions."""

from __future__ import annotations

import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.chart import schemas
from tests.chart.conftest import CHART, PROFILES, ROOT, ChartError, run_helm, template
from tests.chart.switches import ROUTE, SWITCHES

# Kinds of one cloud. Their schemas are not published.
CLOUD_KINDS = "HealthCheckPolicy,GCPBackendPolicy"


@cache
def kubeconform() -> str:
    command = [str(ROOT / "scripts/build-tools"), str(ROOT / "scripts/tools/kubeconform")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no kubeconform: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip() + "/kubeconform"


def complaints(renders: dict[str, str], version: str, custom: str = "custom") -> dict[str, list[str]]:
    """Return kubeconform's complaints by the name of the render. One run for all of them is much faster."""
    command = [kubeconform(), "-strict", "-output", "json", "-kubernetes-version", version, "-skip", CLOUD_KINDS]
    for folder in (version, custom):
        command += [
            "-schema-location",
            f"{schemas.folder() / folder}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json",
        ]
    with tempfile.TemporaryDirectory() as folder:
        names = {str(Path(folder) / f"{number}.yaml"): name for number, name in enumerate(renders)}
        for path, name in names.items():
            Path(path).write_text(renders[name], encoding="utf-8")
        done = subprocess.run([*command, *names], capture_output=True, text=True, check=False)
    found: dict[str, list[str]] = {name: [] for name in renders}
    for resource in json.loads(done.stdout)["resources"]:
        found[names[resource["filename"]]].append(f"{resource['kind']} {resource['name']}: {resource['msg']}")
    assert (done.returncode != 0) == any(found.values()), done.stderr
    return found


@cache
def complaints_of_all_renders(version: str) -> dict[str, list[str]]:
    renders = {name: template(values).text for name, values in SWITCHES.items()}
    renders |= {profile: template({}, profile).text for profile in PROFILES}
    renders |= {f"prod and {profile}": template({}, "prod", profile).text for profile in PROFILES}
    return complaints(renders, version)


@pytest.mark.parametrize("version", schemas.VERSIONS)
@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_renders_valid_objects(switch: str, version: str) -> None:
    assert complaints_of_all_renders(version)[switch] == []


@pytest.mark.parametrize("version", schemas.VERSIONS)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_renders_valid_objects_alone_and_on_top_of_prod(profile: str, version: str) -> None:
    assert (
        complaints_of_all_renders(version)[profile] == complaints_of_all_renders(version)[f"prod and {profile}"] == []
    )


def test_a_route_with_retries_is_valid_in_the_experimental_channel_only() -> None:
    route = template(ROUTE | {"httpRoute.retries": 1}).get("HTTPRoute")
    renders = {"retries": json.dumps(route)}
    assert complaints(renders, schemas.VERSIONS[1], "experimental") == {"retries": []}
    (refused,) = complaints(renders, schemas.VERSIONS[1])["retries"]
    assert "retry" in refused


MISTAKES = [
    ("defaults", "progressDeadlineSeconds:", "progresDeadlineSeconds:"),
    ("defaults", "containerPort: 3000", "containerPort: http"),
    ("defaults", "unhealthyPodEvictionPolicy:", "unhealthyPolicy:"),
    ("route", "backendRefs:", "backends:"),
    ("keda", "minReplicaCount:", "minReplicas:"),
    ("service monitor", "interval: 15s", "interval: 15 seconds"),
    ("alerts", "expr: ", "expression: "),
]


@cache
def complaints_of_mistakes() -> dict[str, list[str]]:
    renders = {wrong: template(SWITCHES[switch]).text.replace(right, wrong) for switch, right, wrong in MISTAKES}
    return complaints(renders, schemas.VERSIONS[1])


@pytest.mark.parametrize(("switch", "right", "wrong"), MISTAKES)
def test_a_mistake_in_a_template_is_found(switch: str, right: str, wrong: str) -> None:
    assert right in template(SWITCHES[switch]).text
    assert len(complaints_of_mistakes()[wrong]) == 1


def test_helm_lint_finds_no_problem() -> None:
    for values in ([], *(["--values", f"{CHART}/values-{profile}.yaml"] for profile in PROFILES)):
        assert "0 chart(s) failed" in run_helm("lint", "--strict", str(CHART), *values)


def test_a_kubernetes_version_that_is_too_old_is_refused() -> None:
    with pytest.raises(ChartError, match=r"chart requires kubeVersion: >=1\.30\.0-0"):
        run_helm("template", "web", str(CHART), "--kube-version", "1.29.0")
