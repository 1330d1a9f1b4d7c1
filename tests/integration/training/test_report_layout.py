"""The layout of a report in a browser."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from selenium import webdriver

from tests.reports import training_report
from training.report import html

TILES = """
const tiles = [...document.querySelectorAll(".tile")];
tiles.slice(arguments[0]).forEach((tile) => tile.remove());
return tiles.slice(0, arguments[0]).map((tile) => tile.offsetTop);
"""


WIDTHS = [
    *(("screen", width) for width in (360, 500, 530, 600, 660, 700, 760, 850, 1000, 1060, 1300)),
    *(("print", width) for width in (660, 700, 760)),
]
"""Widths in pixels; a sheet of paper has about 700."""


@pytest.mark.parametrize(("medium", "width"), WIDTHS)
def test_no_tile_stands_alone_in_its_row(browser: webdriver.Chrome, tmp_path: Path, width: int, medium: str) -> None:
    """Reports have two to six tiles. On a telephone, with two in a row, an odd one takes a whole row."""
    page = tmp_path / "report.html"
    page.write_text(html.render(training_report(["cat", "dog"]), {}))
    shape = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium})
    try:
        browser.get(page.as_uri())
        for number in (6, 5, 4, 3, 2):
            rows = list(Counter(browser.execute_script(TILES, number)).values())
            assert sum(rows) == number
            assert rows[-1] > 1 or max(rows) == 2, rows
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
