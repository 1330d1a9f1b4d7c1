"""Drive the page at / in a browser."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 30

# What a person does without the mouse: WebDriver can't drag a file into the browser.
DROP = """
const files = new DataTransfer();
for (const [name, type, base64] of arguments[1]) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  files.items.add(new File([bytes], name, {type}));
}
const options = {bubbles: true, cancelable: true};
arguments[0].dispatchEvent(arguments[2] === "paste"
  ? new ClipboardEvent("paste", {...options, clipboardData: files})
  : new DragEvent("drop", {...options, dataTransfer: files}));
"""


class Page:
    """The page of a server, open in a browser."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self.browser = browser
        browser.get(url)
        self.until(lambda: "classes" in self.text("#model"))

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return str(self.find(selector).get_property("textContent"))

    def texts(self, selector: str) -> list[str]:
        return [str(found.text) for found in self.browser.find_elements(By.CSS_SELECTOR, selector)]

    def until(self, condition: Any) -> None:
        # The page may replace an element between finding and reading it.
        replaced = [StaleElementReferenceException]
        WebDriverWait(self.browser, SECONDS, 0.05, ignored_exceptions=replaced).until(lambda _: condition())

    def drop(self, *files: tuple[str, bytes], by: str = "drop") -> None:
        """Drop files on the page, and wait for the result."""
        self.browser.execute_script("document.getElementById('results').ariaBusy = null")
        sent = [(name, "image/png", b64encode(content).decode()) for name, content in files]
        self.browser.execute_script(DROP, self.find("#drop"), sent, by)
        self.answered()

    def answered(self) -> None:
        self.until(lambda: self.find("#results").get_attribute("aria-busy") == "false")

    def fits(self) -> bool:
        return bool(self.browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"))


def complaints(browser: Any) -> list[dict[str, Any]]:
    """Return what the browser has logged of failed scripts and broken policies since the last call."""
    # The browser also logs refused images, as errors of the network.
    return [entry for entry in browser.get_log("browser") if entry["source"] != "network"]
