"""The chart's Grafana dashboard: its panels, and what Prometheus answers to their queries."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

DASHBOARD = Path("helm/image-classifier/files/dashboard.json")
NAMESPACE, RELEASE, NAME = "ml", "demo", "image-classifier"
"""The values of the dashboard's variables."""
_STEP = 2
_RATE_INTERVAL = "20s"


@dataclass(frozen=True)
class Series:
    """A line of a panel: its name in the legend, and its values by the second of the run."""

    name: str
    seconds: list[float]
    values: list[float]


@dataclass(frozen=True)
class Panel:
    """A panel with its place in Grafana's grid of 24 columns, and what it shows.

    Attributes:
        kind: Grafana's type, "stat" or "timeseries".
        unit: Grafana's unit: "reqps", "s", "percentunit" or "none".
    """

    title: str
    kind: str
    unit: str
    x: int
    y: int
    width: int
    height: int
    series: list[Series]


def title() -> str:
    """Return the dashboard's title."""
    found: str = json.loads(DASHBOARD.read_text())["title"]
    return found


def read(prometheus: str, begin: float, end: float, rows: int) -> list[Panel]:
    """Ask for what each panel of the first `rows` grid rows shows between two moments, in seconds since 1970."""
    panels = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        if at["y"] + at["h"] <= rows:
            series = [found for target in panel["targets"] for found in _ask(prometheus, target, begin, end)]
            unit = panel["fieldConfig"]["defaults"].get("unit", "none")
            panels.append(Panel(panel["title"], panel["type"], unit, at["x"], at["y"], at["w"], at["h"], series))
    return panels


def text(value: float, unit: str) -> str:
    """Return a value as Grafana shows it."""
    if unit == "s":
        return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"
    if unit == "percentunit":
        return f"{100 * value:.4g}%"
    return f"{value:.3g} req/s" if unit == "reqps" else f"{value:.3g}"


def _ask(prometheus: str, target: dict[str, Any], begin: float, end: float) -> list[Series]:
    query = target["expr"].replace("$namespace", NAMESPACE).replace("$release", RELEASE)
    query = query.replace("$name", NAME).replace("$__rate_interval", _RATE_INTERVAL)
    span = {"query": query, "start": begin, "end": end, "step": _STEP}
    answer = httpx.get(f"{prometheus}/api/v1/query_range", params=span, timeout=30).json()
    assert answer["status"] == "success", answer
    found = []
    for result in answer["data"]["result"]:
        name = target["legendFormat"]
        for label in re.findall(r"\{\{(\w+)\}\}", name):
            name = name.replace(f"{{{{{label}}}}}", result["metric"].get(label, ""))
        points = [(float(moment) - begin, float(value)) for moment, value in result["values"]]
        points = [point for point in points if point[1] == point[1]]
        found.append(Series(name, [second for second, _ in points], [value for _, value in points]))
    return found
