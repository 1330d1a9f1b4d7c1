"""The Grafana dashboard: its label, its layout and its queries."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.conftest import template
from tests.chart.manifests import NAME
from tests.chart.monitoring.series import known_series, unknown_series

Promtool = Callable[[str, dict[str, Any]], None]


@pytest.fixture
def promtool(tmp_path: Path) -> Promtool:
    """Return a function that checks or tests rules with promtool, which must find no fault."""
    binary = shutil.which("promtool")
    if binary is None:
        pytest.skip("promtool is not installed")

    def run(verb: str, content: dict[str, Any]) -> None:
        file = tmp_path / "rules.yml"
        file.write_text(yaml.safe_dump(content))
        done = subprocess.run([binary, verb, "rules", file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def queries(namespace: str) -> list[str]:
    """Return the panels' queries as Grafana sends them for the release `web`, of which `birds` is one chart."""
    chosen = {"$__rate_interval": "5m", "$namespace": namespace, "$release": "web", "$name": "birds"}
    found = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    return [re.sub(r"\$\w+", lambda variable: chosen[variable[0]], query) for query in found]


def dashboard() -> dict[str, Any]:
    data = template({"dashboard.enabled": True}).get("ConfigMap", f"{NAME}-dashboard")["data"]
    board: dict[str, Any] = json.loads(data["image-classifier.json"])
    return board


def test_the_dashboard_has_the_label_for_the_grafana_sidecar() -> None:
    labels = template({"dashboard.enabled": True}).get("ConfigMap", f"{NAME}-dashboard")["metadata"]["labels"]
    assert labels["grafana_dashboard"] == "1"


def test_every_panel_queries_series_that_the_service_exposes() -> None:
    asked = queries("ml") + [variable["query"] for variable in dashboard()["templating"]["list"]]
    assert unknown_series(asked) == set()


def test_panels_do_not_overlap_and_have_unique_titles_and_ids() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        cells |= own


def test_promtool_accepts_every_query(promtool: Promtool) -> None:
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries("ml"))]
    assert len(rules) > 20
    promtool("check", {"groups": [{"name": "panels", "rules": rules}]})


def test_a_panel_shows_one_chart_of_a_release_with_several(promtool: Promtool) -> None:
    """A query that selects by the release alone adds up the charts of a parent chart.

    In the namespace `ml`, the release holds two aliases. In `alone` it holds the first one only, with the same series.
    """
    series = [*alias("ml", "birds", 3), *alias("ml", "plants", 50), *alias("alone", "birds", 3)]
    equal = {"labels": "{}", "value": 1}
    cases = [
        {"expr": f"sum(abs(({one}) - ({same}))) < bool 1e-9", "eval_time": "1h", "exp_samples": [equal]}
        for one, same in zip(queries("ml"), queries("alone"), strict=True)
    ]
    tests = [{"interval": "1m", "input_series": series, "promql_expr_test": cases}]
    promtool("test", {"rule_files": [], "tests": tests})


def alias(namespace: str, name: str, step: int) -> list[dict[str, str]]:
    """Return series of everything that the service exposes, as promtool's input. Their rates depend on `step`."""
    labels = {"namespace": namespace, "app_kubernetes_io_instance": "web", "app_kubernetes_io_name": name}
    labels |= {"app_kubernetes_io_component": "server", "route": "/predict", "pod": "a", "feature": "brightness"}
    found = []
    for number, (series, code, bin_) in enumerate(itertools.product(sorted(known_series()), ("200", "503"), "12")):
        own = labels | {"code": code, "result": "hit" if code == "200" else "miss", "bin": bin_}
        own["known"] = "true" if code == "200" else "false"
        for le, more in (("0.1", 0), ("1", 10 * step), ("+Inf", 10 * step)):
            text = ", ".join(f'{key}="{value}"' for key, value in (own | {"le": le}).items())
            found.append({"series": f"{series}{{{text}}}", "values": f"1+{1 + number * step % 7 + more}x60"})
    return found
