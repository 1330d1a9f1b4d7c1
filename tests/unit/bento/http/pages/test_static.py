from __future__ import annotations

import re
from pathlib import Path

import pytest

from bento.http.pages import static

ROUTES = ["/", "/docs", "/openapi.json", "/version"]


def test_every_file_that_the_pages_name_is_there() -> None:
    files = static.load(ROUTES)
    text = {path: body.decode() for path, (_, body) in files.items() if not path.startswith("/docs/")}
    named = {
        f"/{name}" for page in ("/", "/docs") for name in re.findall(r'(?:src|href)="([\w/.-]+\.\w+)"', text[page])
    }
    named |= {f"/page/{name}" for body in text.values() for name in re.findall(r'from "\./([\w.]+)"', body)}
    assert len(named) >= 8
    assert named <= set(files) | {"/openapi.json"}


def links(page: bytes) -> list[str]:
    return re.findall(r'<a href="([^"]*)"', page.decode())


@pytest.mark.parametrize(
    "absent", [[], ["/version"], ["/docs", "/openapi.json"], ["/docs", "/openapi.json", "/version"]]
)
def test_the_page_links_to_no_route_that_is_not_served(absent: list[str]) -> None:
    """The kind: a page that doesn't know which routes are switched off leads people to a 404."""
    served = [path for path in ROUTES if path not in absent]
    files = static.load(served)
    assert links(files["/"][1]) == [path[1:] for path in served if path != "/"]
    assert files["/"][1].decode().count("</a>") == len(served) - 1


@pytest.mark.parametrize("absent", ["/", "/docs"])
def test_a_page_that_is_switched_off_takes_the_files_that_only_it_loads(absent: str) -> None:
    """The kind: files for browsers are in no table of routes, so switching a route off doesn't reach them."""
    whole = static.load(ROUTES)
    left = static.load([path for path in ROUTES if path != absent])
    own = {"/": {"/", *(f"/page/{name}" for name in ("page.css", "page.js", "api.js", "view.js"))}}
    own["/docs"] = {"/docs", "/page/docs.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"}
    assert set(whole) - set(left) == own[absent]
    assert static.load(["/predict"]) == {}


def test_every_file_of_the_folder_belongs_to_a_page() -> None:
    listed = {name for names in static._FILES.values() for name in names}
    assert listed == {path.name for path in Path("bento/http/pages").iterdir() if path.suffix in static._TYPES}


def test_every_file_has_the_type_that_its_ending_says() -> None:
    for path, (content_type, body) in static.load(ROUTES).items():
        ending = path.rpartition(".")[2] if "." in path else "html"
        wanted = {"html": b"text/html", "css": b"text/css", "js": b"text/javascript", "svg": b"image/svg+xml"}[ending]
        assert content_type.startswith(wanted), path
        assert body, path


def test_our_files_load_nothing_from_other_servers_and_have_no_inline_code() -> None:
    ours = [path for path in Path("bento/http/pages").iterdir() if path.suffix in {".html", ".css", ".js", ".svg"}]
    assert len(ours) >= 8
    for path in ours:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
        assert "innerHTML" not in text, path
        assert not re.search(r"<script(?![^>]*src)|<style|\sstyle=|\son\w+=\"", text), path


def test_the_policy_allows_nothing_from_other_servers() -> None:
    policy = dict(static.HEADERS)[b"content-security-policy"].decode()
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_without_swagger_ui_the_docs_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(static, "_swagger_folder", lambda: tmp_path)
    files = static.load(ROUTES)
    assert "Swagger UI is missing" in files["/docs"][1].decode()
    assert not [path for path in files if path.startswith("/docs/")]
    assert files["/"] == static.load(ROUTES)["/"]
    assert "no Swagger UI" in caplog.text
