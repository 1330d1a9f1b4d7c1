"""The notes after an install: the command for the chosen exposure, and warnings."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.chart.conftest import CHART, CRDS, helm_path, nested, run_helm
from tests.chart.switches import INGRESS, ROUTE


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the chart that renders its notes as an object, because `helm template` prints no notes."""
    copy = tmp_path_factory.mktemp("chart") / "image-classifier"
    shutil.copytree(CHART, copy)
    notes = (copy / "templates/NOTES.txt").read_text(encoding="utf-8")
    (copy / "templates/notes.yaml").write_text(
        '{{- define "notes" }}' + notes + '{{- end }}\nkind: ConfigMap\nnotes: {{ include "notes" . | toJson }}\n'
    )
    return copy


def notes(chart: Path, values: dict[str, Any]) -> str:
    command = [helm_path(), "template", "web", str(chart), "--namespace", "ml", "--api-versions", ",".join(CRDS)]
    command += ["--show-only", "templates/notes.yaml", "--values", "-"]
    done = subprocess.run(command, input=json.dumps(nested(values)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("notes: ")]
    return str(json.loads(line.removeprefix("notes: ")))


@pytest.mark.parametrize(
    ("values", "commands"),
    [
        (
            {},
            [
                "kubectl -n ml port-forward service/web-image-classifier 3000:80 &",
                "curl -F file=@image.jpg http://127.0.0.1:3000/predict",
            ],
        ),
        (ROUTE, ["curl -F file=@image.jpg http://images.example.com/predict"]),
        (INGRESS, ["curl -F file=@image.jpg https://images.example.com/predict"]),
        (INGRESS | {"ingress.tls": []}, ["curl -F file=@image.jpg http://images.example.com/predict"]),
        (
            {"service.type": "NodePort", "networkPolicy.enabled": False},
            ["curl -F file=@image.jpg http://ADDRESS-OF-A-NODE:$PORT/predict"],
        ),
        (
            {"service.type": "LoadBalancer", "service.port": 8080, "networkPolicy.enabled": False},
            ["curl -F file=@image.jpg http://$ADDRESS:8080/predict"],
        ),
        (
            {"apiKeys.existingSecret": "keys"},
            ['curl -F file=@image.jpg -H "X-API-Key: $KEY" http://127.0.0.1:3000/predict'],
        ),
    ],
)
def test_the_notes_show_the_command_for_the_exposure(chart: Path, values: dict[str, Any], commands: list[str]) -> None:
    lines = [line.strip() for line in notes(chart, values).splitlines()]
    assert [command for command in commands if command not in lines] == [], lines


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ({"replicaCount": 1}, "replicaCount is less than 2"),
        ({"resources.limits": {"memory": None}}, "resources.limits.memory is not set"),
        ({"resources.limits": {"cpu": None}}, "resources.limits.cpu is not set"),
        ({"apiKeys.existingSecret": ""}, "apiKeys.existingSecret is not set"),
        ({"podMonitor.enabled": True, "networkPolicy.monitoringNamespaces": []}, "the NetworkPolicy blocks Prometheus"),
    ],
)
def test_the_notes_warn_about_missing_values(chart: Path, values: dict[str, Any], warning: str) -> None:
    good = {"apiKeys.existingSecret": "keys"}
    assert "Warnings:" not in notes(chart, good)
    assert warning in notes(chart, good | values)


def test_the_notes_explain_the_share_of_the_canary(chart: Path) -> None:
    assert "in proportion to its number of pods. canary.weight only applies with httpRoute." in notes(
        chart, {"canary.enabled": True}
    )
    assert "gets 10% of the requests" in notes(chart, ROUTE | {"canary.enabled": True})


def test_helm_install_prints_the_notes() -> None:
    printed = run_helm("install", "web", str(CHART), "--dry-run=client", "--namespace", "ml")
    assert "helm test web -n ml" in printed.split("NOTES:")[1]
