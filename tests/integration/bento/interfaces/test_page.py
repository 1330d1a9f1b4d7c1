"""The page at / in a real browser: headless Chromium, driven by its own driver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.integration.conftest import Server, Store, serving
from tests.kubeapi.http import QuietHandler, QuietServer
from tests.page import Page, complaints
from tests.stored import picture

ANSWERING = """
const [body, status, type] = arguments;
window.fetch = async () => new Response(body, {status, headers: {"Content-Type": type, "Retry-After": "7"}});
"""
# A proxy that takes two files of 3 MB in all, and writes errors of its own.
LIMITING = """
const [content, type] = arguments;
const real = window.fetch;
window.sent = [];
window.fetch = async (path, options) => {
  const files = options.body.getAll("file");
  const size = files.reduce((sum, file) => sum + file.size, 0);
  window.sent.push([files.length, size]);
  const large = size > 3e6 || files.length > 2;
  return large ? new Response(content, {status: 413, headers: {"Content-Type": type}}) : real(path, options);
};
"""


@pytest.fixture
def page(browser: webdriver.Chrome, server: Server) -> Iterator[Page]:
    complaints(browser)
    yield Page(browser, server.url)
    assert complaints(browser) == []


def test_a_dropped_image_shows_its_class_scores_and_times(page: Page, server: Server) -> None:
    page.drop(("some.png", picture("green")))
    assert page.text("#results h2") == "green"
    tag = server.get("/livez").headers["x-model-version"]
    assert tag in page.text("#results")
    assert tag in page.text("#model")
    scores, times = page.texts("#results table")
    assert scores.split()[:3] == ["Scores", "green", "99.2%"]
    assert "round trip" in times
    stages = page.texts("#results table:last-child th")
    assert stages == ["receive", "decode", "queue", "inference", "the rest"]
    # Screen readers announce it too.
    assert page.find("#status").get_attribute("role") == "status"
    assert page.text("#status") == "green, 99.2%"


def test_a_pasted_image_is_classified(page: Page) -> None:
    page.drop(("image.png", picture("blue")), by="paste")
    assert page.text("#results h2") == "blue"


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        (picture("red")[:60], "422 corrupt_image", "image"),
        (b"plain text", "415 unsupported_media_type", "image"),
        (b"", "415", "The bytes are empty"),
    ],
)
def test_a_broken_image_shows_the_reason(page: Page, content: bytes, code: str, reason: str) -> None:
    page.drop(("broken.png", content))
    assert reason in page.text(".reason")
    assert page.text("#results code").startswith(code)


def test_an_image_that_the_browser_cannot_show_is_classified(page: Page) -> None:
    page.drop(("some.tiff", picture("red", "TIFF")))
    assert page.text("#results h2") == "red"
    page.until(lambda: page.text(".preview") == "No preview")


def test_several_images_have_a_row_each(page: Page) -> None:
    colours = ["red", "green", "blue"] * 9
    files = [(f"{i} <b>{colour}</b>.png", picture(colour)) for i, colour in enumerate(colours)]
    files[4] = ("broken.png", picture("green")[:60])
    page.drop(*files)
    rows = page.texts("#results li")
    assert len(rows) == len(files)
    for i, (row, (name, _), colour) in enumerate(zip(rows, files, colours, strict=True)):
        assert row.startswith(name)
        assert ("422 corrupt_image" if i == 4 else f"{colour} 99.2%") in row
    assert page.text("#status") == "26 of 27 images classified"


def test_images_that_exceed_one_body_are_sent_in_several(
    browser: webdriver.Chrome, colour_store: tuple[Store, str], tmp_path: Path
) -> None:
    with serving(colour_store[0], ".", MAX_BODY_BYTES="2000") as server:
        page = Page(browser, server.url)
        page.drop(*[(f"{i}.png", picture("red")) for i in range(20)], ("large.bmp", picture("red", "BMP", (40, 40))))
        rows = page.texts("#results li")
        assert sum("red 99.2%" in row for row in rows) == 20
        assert "413 payload_too_large" in rows[20]


@pytest.mark.parametrize(
    ("content", "type_"),
    [("<h1>413</h1>", "text/html"), ('{"message": "too large"}', "application/json"), ("", "")],
    ids=["HTML", "JSON", "nothing"],
)
def test_images_pass_a_proxy_whose_limit_is_lower(page: Page, content: str, type_: str) -> None:
    """The kind: the page may rely on a status, but on no content of an error, which a proxy may replace."""
    page.browser.execute_script(LIMITING, content, type_)
    large = picture("red") + bytes(3_500_000)
    page.drop(*[(f"{i}.png", picture("red")) for i in range(7)], ("8.png", large), ("9.png", picture("green")))
    rows = page.texts("#results li")
    assert ["red 99.2%" in row for row in rows[:7]] == [True] * 7
    assert "too large to be uploaded" in rows[7]
    assert "413" in rows[7]
    assert "green 99.2%" in rows[8]
    assert page.text("#status") == "8 of 9 images classified"


def test_a_request_for_many_images_stays_far_below_the_limit(page: Page) -> None:
    page.browser.execute_script(LIMITING, "", "")
    page.drop(*[(f"{i}.png", picture("red") + bytes(1_900_000)) for i in range(5)])
    assert [count for count, _ in page.browser.execute_script("return window.sent")] == [2, 1, 1, 2, 1, 1, 1]


def test_the_keyboard_is_enough_to_choose_an_image(page: Page, tmp_path: Path) -> None:
    ActionChains(page.browser).send_keys(Keys.TAB).perform()
    chosen = page.browser.switch_to.active_element
    assert chosen.get_attribute("type") == "file"
    outline = "return getComputedStyle(arguments[0]).outlineStyle"
    assert page.browser.execute_script(outline, page.find("#drop")) == "solid"
    (tmp_path / "a.png").write_bytes(picture("blue"))
    chosen.send_keys(str(tmp_path / "a.png"))
    page.until(lambda: page.texts("#results h2") == ["blue"])


def test_a_file_over_the_limit_shows_the_reason(page: Page, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(picture("red") + bytes(21 * 2**20))
    page.find("#files").send_keys(str(tmp_path / "large.png"))
    page.until(lambda: page.texts("#results code") == ["413 payload_too_large"])


def test_the_page_says_so_if_the_service_is_down(browser: webdriver.Chrome, colour_store: tuple[Store, str]) -> None:
    with serving(colour_store[0], ".") as server:
        page = Page(browser, server.url)
    page.drop(("some.png", picture("red")))
    assert "can't be reached" in page.text(".reason")
    assert page.texts("#results button") == ["Try again"]


@pytest.mark.parametrize("width", [320, 390, 1400])
def test_nothing_scrolls_sideways(page: Page, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        name = "a-rather-long-name-without-any-space-" * 4
        assert page.fits()
        page.drop((f"{name}.png", picture("red")))
        assert page.fits()
        page.drop((f"{name}.png", b"no image"))
        assert page.fits()
        page.drop((f"{name}.png", picture("red")), ("b.png", b"no image"))
        assert page.fits()
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_names_of_classes_and_reasons_are_never_markup(page: Page) -> None:
    name = "<img src=x onerror=alert(1)>"
    answer = {"predicted_class": name, "confidence_score": 1, "top_k": [{"class": name, "score": 1}]}
    page.browser.execute_script(ANSWERING, json.dumps(answer), 200, "application/json")
    page.drop((f"{name}.png", picture("red")))
    assert page.text("#results h2") == name
    assert len(page.browser.find_elements(By.CSS_SELECTOR, "#results img")) == 1


@pytest.mark.parametrize(("status", "code"), [(429, "queue_full"), (503, "draining")])
def test_the_page_says_that_the_service_is_busy_and_when_to_try_again(page: Page, status: int, code: str) -> None:
    problem = json.dumps({"status": status, "code": code, "detail": "too many"})
    page.browser.execute_script("window.realFetch = fetch")
    page.browser.execute_script(ANSWERING, problem, status, "application/problem+json")
    page.drop(("some.png", picture("green")))
    assert page.text("#results h2") == "The service is busy"
    assert "Try again in 7 s." in page.text("#results")
    assert page.text("#results code") == f"{status} {code}"
    page.browser.execute_script("window.fetch = realFetch")
    page.find("#results button").click()
    page.until(lambda: page.texts("#results h2") == ["green"])


def test_an_error_of_a_proxy_is_shown_clearly(page: Page) -> None:
    page.browser.execute_script(ANSWERING, "<h1>Bad Gateway</h1>", 502, "text/html")
    page.drop(("some.png", picture("green")))
    assert page.text("#results code").startswith("502")
    assert page.text(".reason") == "Something before the service answered."


def test_the_page_asks_for_the_api_key_and_keeps_it_for_the_tab(
    browser: webdriver.Chrome, colour_store: tuple[Store, str]
) -> None:
    with serving(colour_store[0], ".", API_KEYS="open-sesame") as server:
        page = Page(browser, server.url)
        page.drop(("some.png", picture("green")))
        for key in ("wrong", "open-sesame"):
            assert page.find("#ask").is_displayed()
            ActionChains(browser).send_keys(key, Keys.ENTER).perform()
            page.until(lambda key=key: page.find("#key").get_property("value") == "" and page.text("#status") != "")
            page.answered()
        page.until(lambda: page.texts("#results h2") == ["green"])
        assert not page.find("#ask").is_displayed()
        assert '-H "X-API-Key: $API_KEY"' in page.text("#curl")
        page = Page(browser, server.url)
        page.drop(("some.png", picture("red")))
        assert page.text("#results h2") == "red"


def test_the_curl_line_sends_the_same_request_and_can_be_copied(page: Page, server: Server) -> None:
    assert page.text("#curl") == f'curl -X POST {server.url}/predict -F "file=@image.jpg"'
    page.drop(("it's.png", picture("red")), ("b.png", picture("red")))
    assert (
        page.text("#curl")
        == rf"""curl -X POST {server.url}/predict/batch -F 'file=@it'\''s.png' -F "file=@b.png" """[:-1]
    )
    page.find("#copy").click()
    page.until(lambda: page.text("#status") in ("Copied", "Selected; press Ctrl+C to copy"))


def test_the_documentation_lists_the_routes(page: Page, server: Server) -> None:
    page.browser.get(f"{server.url}/docs")
    page.until(lambda: len(page.browser.find_elements(By.CSS_SELECTOR, ".opblock")) >= 19)
    page.find("#operations-classify-predict button").click()
    page.until(lambda: page.browser.find_elements(By.CSS_SELECTOR, ".try-out__btn"))
    page.find(".try-out__btn").click()
    page.until(lambda: page.browser.find_elements(By.CSS_SELECTOR, "input[type=file]"))


class Prefix(QuietHandler):
    """A gateway that serves `upstream` below /models/cats alone."""

    upstream: str

    def do_GET(self) -> None:
        if self.path.startswith("/models/cats/"):
            answer = httpx.get(self.upstream + self.path.removeprefix("/models/cats"))
            status, kind, body = answer.status_code, answer.headers["content-type"], answer.content
        else:
            status, kind, body = 404, "text/plain", b"not here"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_the_documentation_calls_the_service_below_a_path(browser: webdriver.Chrome, server: Server) -> None:
    handler = type("Below", (Prefix,), {"upstream": server.url})
    with QuietServer(("127.0.0.1", 0), handler) as gateway:
        Thread(target=gateway.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{gateway.server_address[1]}/models/cats"
        page = Page(browser, f"{root}/")
        browser.get(f"{root}/docs")
        for selector in ("[id$=livez] button", ".try-out__btn", ".execute"):
            page.until(lambda selector=selector: browser.find_elements(By.CSS_SELECTOR, selector))
            browser.execute_script("arguments[0].click()", page.find(selector))
        page.until(lambda: browser.find_elements(By.CSS_SELECTOR, ".request-url"))
        assert page.text(".request-url pre") == f"{root}/livez"
        page.until(lambda: browser.find_elements(By.CSS_SELECTOR, ".live-responses-table .response-col_status"))
        assert "200" in page.texts(".live-responses-table .response-col_status")[-1]
        gateway.shutdown()


CALLING = """
const [url, key, done] = arguments;
fetch(url, {method: "POST", headers: {"X-API-Key": key, "Content-Type": "image/png"}, body: new Blob(["no image"])})
  .then((answer) => done([answer.status, answer.headers.get("X-Request-ID")]), (error) => done([0, null]));
"""


def test_a_page_of_an_allowed_origin_reads_answers_and_errors(
    browser: webdriver.Chrome, server: Server, colour_store: tuple[Store, str]
) -> None:
    """Pages of other origins can call the service if CORS_ORIGINS names them, and only then."""
    origin = server.url.rstrip("/")
    with serving(colour_store[0], ".", CORS_ORIGINS=origin, API_KEYS="secret") as other:
        browser.get(server.url)
        # The page's own policy would forbid it.
        browser.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
        browser.get(server.url)
        for key, status in (("secret", 415), ("wrong", 401)):
            got, request_id = browser.execute_async_script(CALLING, f"{other.url}/predict", key)
            assert (got, bool(request_id)) == (status, True)
        browser.get(other.url)
        assert browser.execute_async_script(CALLING, f"{server.url}/predict", "")[0] == 0
        browser.execute_cdp_cmd("Page.setBypassCSP", {"enabled": False})
        complaints(browser)
