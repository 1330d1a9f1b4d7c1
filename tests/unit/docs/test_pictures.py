"""The README's pictures: small, shown, and drawn from every query of the dashboard's panels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from benchmarks.pictures import board, drawing
from benchmarks.pictures.__main__ import LARGEST

ROOT = Path(__file__).parents[3]
PICTURES = sorted((ROOT / "docs/pictures").glob("*.png"))


def test_they_are_small_and_the_readme_shows_each() -> None:
    shown = re.findall(r"docs/pictures/(\w+)\.png", (ROOT / "README.md").read_text())
    assert sorted(shown) == [picture.stem for picture in PICTURES] == ["dashboard", "page", "report"]
    assert sum(picture.stat().st_size for picture in PICTURES) < LARGEST
    for picture in PICTURES:
        with Image.open(picture) as image:
            image.load()
            assert image.width >= 1000, picture


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that were sent to Prometheus, which answers each with two series of three values."""
    queries: list[str] = []

    def get(url: str, *, params: dict[str, Any], timeout: float) -> httpx.Response:
        queries.append(params["query"])
        values = [[params["start"] + 60 * i, text] for i, text in enumerate(("0.25", "NaN", "0.5"))]
        result = [{"metric": {"code": code, "stage": code}, "values": values} for code in ("200", "429")]
        return httpx.Response(200, json={"status": "success", "data": {"result": result}})

    monkeypatch.setattr(httpx, "get", get)
    return queries


def test_every_query_of_the_panels_is_asked_with_its_variables_filled_in(asked: list[str]) -> None:
    panels = board.read("http://prometheus", 1000, 1120, 20)
    assert [panel.title for panel in panels if panel.kind == "stat"]
    assert len(asked) >= len(panels) >= 9
    assert not [query for query in asked if "$" in query]
    label = f'app_kubernetes_io_instance="{board.RELEASE}", app_kubernetes_io_name="{board.NAME}"'
    assert all(label in query for query in asked)


def test_series_get_the_legend_of_their_panel_and_lose_what_is_no_number(asked: list[str]) -> None:
    panels = board.read("http://prometheus", 1000, 1120, 20)
    series = next(panel.series for panel in panels if panel.kind == "timeseries")
    assert [found.name for found in series] == ["200", "429"]
    assert (series[0].seconds, series[0].values) == ([0, 120], [0.25, 0.5])


def test_the_picture_has_the_lines_of_its_panels(asked: list[str]) -> None:
    picture = drawing.draw(board.read("http://prometheus", 1000, 1120, 20), board.title(), 120)
    colours = {colour for _, colour in picture.getcolors(1 << 24) or []}
    assert picture.width == 1500
    assert {(0x73, 0xBF, 0x69), (0xF2, 0xCC, 0x0C)} <= colours


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0125, "s", "12.5 ms"),
        (2.5, "s", "2.5 s"),
        (0.999, "percentunit", "99.9%"),
        (81.4, "reqps", "81.4 req/s"),
        (1, "none", "1"),
    ],
)
def test_values_are_written_with_their_unit(value: float, unit: str, expected: str) -> None:
    assert board.text(value, unit) == expected
