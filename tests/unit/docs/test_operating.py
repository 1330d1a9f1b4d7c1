"""docs/operating.md has an entry for each alert, and names only metrics, settings and values that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from bento.settings import Settings
from tests.chart.conftest import CHART, template
from tests.chart.monitoring.series import known_series

DOCS = Path("docs/operating.md").read_text()
PAGES = [*Path("docs").glob("*.md"), Path("README.md"), CHART / "README.md"]

ELSEWHERE = {"container_cpu_cfs_throttled_periods_total", "container_memory_working_set_bytes"}
"""The kubelet's metrics that the page names."""


def rules(**more: Any) -> list[dict[str, Any]]:
    values = {"prometheusRule.enabled": True, "autoscaling.enabled": True} | more
    groups = template(values).spec("PrometheusRule")["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_every_alert_has_an_entry_with_causes_and_no_entry_is_stale() -> None:
    entries = dict(re.findall(r"^### (ImageClassifier\w+)\n(.*?)(?=^#|\Z)", DOCS, re.M | re.S))
    alerts = {rule["alert"] for rule in rules()}
    assert alerts == set(entries)
    for name, entry in entries.items():
        causes = [line for line in entry.splitlines() if line.startswith("| ")][1:]
        assert causes, name
        assert all(re.fullmatch(r"\| [^|]+ \| `[^|`]+` \| [^|]+ \|", cause) for cause in causes), name


def test_an_alert_links_to_its_entry_where_the_chart_knows_the_page() -> None:
    page = "https://docs.example.com/operating"
    for rule in rules(**{"prometheusRule.runbookUrl": page}):
        assert rule["annotations"]["runbook_url"] == f"{page}#{rule['alert'].lower()}"
    assert all("runbook_url" not in rule["annotations"] for rule in rules())


def test_every_metric_that_is_named_exists() -> None:
    ours = {name.removesuffix(end) for name in known_series() for end in ("", "_bucket", "_sum", "_count")}
    for page in PAGES:
        # A name with a dot, a slash or a colon beside it is a tag, a file or a span's attribute.
        named = set(re.findall(r"(?<![\w./-])(image_classifier_\w+)(?![\w.:/])", page.read_text()))
        assert {name.rstrip("_") for name in named} - {"image_classifier"} <= ours, page
    assert set(re.findall(r"\b((?:container|kube)_\w+)", DOCS)) == ELSEWHERE


def test_every_setting_and_value_that_is_named_exists() -> None:
    names = {name.upper() for name in Settings.model_fields}
    assert set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", DOCS)) <= names
    chart = yaml.safe_load((CHART / "values.yaml").read_text())
    top = "|".join(chart)
    for path in re.findall(rf"`((?:{top})(?:\.\w+)+)(?:=[^`]*)?`", DOCS + Path("docs/deploying.md").read_text()):
        where: Any = chart
        for key in path.split("."):
            assert key in where, path
            where = where[key]


def test_every_query_of_the_incidents_is_of_the_service_or_the_kubelet() -> None:
    queries = re.findall(r"\| `(sum[^`]+)` \|", DOCS)
    assert queries
    for query in queries:
        named = set(re.findall(r"\b(?:image_classifier|container)_\w+", query))
        assert named
        assert named <= known_series() | ELSEWHERE, query
