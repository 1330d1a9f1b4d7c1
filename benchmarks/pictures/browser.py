"""Pictures of web pages, taken in headless Chromium."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

SCALE = 2
"""Pixels of the picture per CSS pixel, so that text stays sharp on dense screens."""
_SECONDS = 30
_MARGIN = 16
_FONT = "Inter"
"""Pages ask for the system's font; Debian's default is wider than those of other systems."""


@contextlib.contextmanager
def browsing() -> Iterator[webdriver.Chrome]:
    """Run headless Chromium with its own driver; exits with one line if either is missing."""
    chromium, own = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or own is None:
        sys.exit("error: chromium or chromedriver is missing; run: scripts/packages chromium chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(own))
    try:
        yield driver
    finally:
        driver.quit()


def open_page(browser: webdriver.Chrome, url: str, width: int) -> None:
    """Open `url` in a light window that is `width` CSS pixels wide."""
    size = {"width": width, "height": 1000, "deviceScaleFactor": SCALE, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    light = {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", light)
    browser.get(url)
    # By the object model: the page's policy forbids other styles than its own.
    browser.execute_script("document.body.style.fontFamily = arguments[0]", f"{_FONT}, system-ui, sans-serif")


def choose(browser: webdriver.Chrome, image: Path) -> None:
    """Choose a file on the service's page, and wait for the answer."""
    browser.execute_script("document.querySelector('#results').ariaBusy = null")
    browser.find_element(By.ID, "files").send_keys(str(image))
    answered = "#results[aria-busy=false] h2"
    WebDriverWait(browser, _SECONDS).until(lambda _: browser.find_elements(By.CSS_SELECTOR, answered))


def shoot(browser: webdriver.Chrome, last: str) -> Image.Image:
    """Return a picture of the open page from its top to the end of the first element that the selector `last` finds."""
    bottom = browser.execute_script("return document.querySelector(arguments[0]).getBoundingClientRect().bottom", last)
    width = browser.execute_script("return document.documentElement.clientWidth")
    clip = {"x": 0, "y": 0, "width": width, "height": bottom + _MARGIN, "scale": 1}
    request: dict[str, Any] = {"format": "png", "clip": clip, "captureBeyondViewport": True}
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", request)
    return Image.open(io.BytesIO(b64decode(taken["data"]))).convert("RGB")
