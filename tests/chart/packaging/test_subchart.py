"""The chart as a dependency of another chart, several times under different aliases."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chart.conftest import CHART, CRDS, run_helm
from tests.chart.manifests import Manifests

PARENT = """
apiVersion: v2
name: parent
version: 1.0.0
dependencies:
  - {name: image-classifier, version: 0.1.0, alias: birds, condition: birds.enabled}
  - {name: image-classifier, version: 0.1.0, alias: plants, condition: plants.enabled}
"""
MONITORED = {"enabled": True, "keda": {"enabled": True}, "prometheusRule": {"enabled": True}}


@pytest.fixture(params=["3", "4"])
def parent(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Manifests]:
    """Return a function that renders a parent chart with values for each alias."""
    shutil.copytree(CHART, tmp_path / "charts/image-classifier")
    (tmp_path / "Chart.yaml").write_text(PARENT)

    def render(**values: Any) -> Manifests:
        (tmp_path / "values.json").write_text(json.dumps(values))
        command = ["template", "web", str(tmp_path), "--namespace", "ml", "--api-versions", ",".join(CRDS)]
        return Manifests.parse(run_helm(*command, "--values", tmp_path / "values.json", major=request.param))

    return render


def test_a_condition_turns_an_alias_on_and_off(parent: Callable[..., Manifests]) -> None:
    release = parent(birds={"enabled": True}, plants={"enabled": False})
    assert [name for name in release.names if name.startswith("Deployment")] == ["Deployment web-birds"]


def test_two_aliases_share_no_object_selector_query_or_series(parent: Callable[..., Manifests]) -> None:
    """Whatever selects or names by the release alone mixes up two charts of one release."""
    release = parent(birds=MONITORED, plants=MONITORED)
    assert len(release.names) == len(set(release.names))

    def of(kind: str, name: str) -> dict[str, Any]:
        return release.spec(kind, f"web-{name}")

    for kind in ("Service", "NetworkPolicy", "PodDisruptionBudget"):
        assert of(kind, "birds") != of(kind, "plants")
    queries = [of("ScaledObject", name)["triggers"][0]["metadata"]["query"] for name in ("birds", "plants")]
    assert queries[0] != queries[1]
    recorded, expressions = [], []
    for name in ("birds", "plants"):
        rules = [rule for group in of("PrometheusRule", name)["groups"] for rule in group["rules"]]
        recorded.append({(rule.get("record", rule.get("alert")), *sorted(rule["labels"].items())) for rule in rules})
        expressions.append({rule["expr"] for rule in rules})
    assert not recorded[0] & recorded[1]
    assert not expressions[0] & expressions[1]
