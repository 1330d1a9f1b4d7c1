"""Locust's web page in a real browser, with the options of the load test."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

from tests.integration.conftest import Server, free_port
from tests.integration.loadtests.test_loadtests import LOCUST


def listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 5):
        return True


def test_the_web_page_starts_a_run_with_our_options_and_shows_its_figures(
    server: Server, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    port, report = free_port(), tmp_path / "report"
    command = [*LOCUST, "--web-host", "127.0.0.1", "--web-port", str(port), "--host", server.url]
    process = subprocess.Popen(
        [*command, "--report", str(report)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    before = browser.get_window_rect()
    browser.set_window_size(1400, 1000)
    try:
        waiting = WebDriverWait(browser, 30, 0.1, ignored_exceptions=[WebDriverException, OSError])
        waiting.until(lambda _: listens(port))
        browser.get(f"http://127.0.0.1:{port}/")
        # Locust's page shows the options of a locustfile here.
        click = expected_conditions.element_to_be_clickable
        waiting.until(click((By.XPATH, "//button[contains(., 'Custom parameters')]"))).click()
        waiting.until(click((By.NAME, "rate"))).send_keys(Keys.CONTROL, "a")
        browser.find_element(By.NAME, "rate").send_keys("40")
        waiting.until(click((By.NAME, "slo"))).send_keys("p99=20s,errors=0")
        waiting.until(click((By.XPATH, "//button[contains(., 'Start')]"))).click()
        waiting.until(lambda _: "/predict/batch" in browser.page_source)
        waiting.until(click((By.XPATH, "//button[contains(., 'Stop')]"))).click()
        waiting.until(lambda _: report.joinpath("report.html").exists())
    finally:
        browser.set_window_rect(**before)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "service levels: kept: p99" in err
    assert "--rate 40/s" in (report / "report.html").read_text()
