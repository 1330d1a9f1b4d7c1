"""The Grafana dashboard: its label, its layout and its queries."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.conftest import template
from tests.chart.manifests import NAME
from tests.chart.series import unknown_series


def dashboard() -> dict[str, Any]:
    data = template({"dashboard.enabled": True}).get("ConfigMap", f"{NAME}-dashboard")["data"]
    board: dict[str, Any] = json.loads(data["image-classifier.json"])
    return board


def test_the_dashboard_has_the_label_for_the_grafana_sidecar() -> None:
    labels = template({"dashboard.enabled": True}).get("ConfigMap", f"{NAME}-dashboard")["metadata"]["labels"]
    assert labels["grafana_dashboard"] == "1"


def test_every_panel_queries_series_that_the_service_exposes() -> None:
    queries = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    queries += [variable["query"] for variable in dashboard()["templating"]["list"]]
    assert unknown_series(queries) == set()


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


def test_promtool_accepts_every_query(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    queries = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    assert len(queries) > 20
    # Replace variables as Grafana does.
    queries = [query.replace("$__rate_interval", "1m").replace("$namespace", "ml") for query in queries]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
