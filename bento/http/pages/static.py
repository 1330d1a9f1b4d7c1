"""The files for browsers: the page at / and Swagger UI at /docs. They load nothing from other servers."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

logger = logging.getLogger("image_classifier")

Headers = list[tuple[bytes, bytes]]

HEADERS: Headers = [
    (
        b"content-security-policy",
        # Previews of dropped images are blobs, and Swagger UI's style sheet holds its icons as data.
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # After an upgrade the same addresses serve other files.
    (b"cache-control", b"no-cache"),
]
"""Headers of each of these files."""

_FOLDER = Path(__file__).parent
_PAGES = {"index.html": "/", "docs.html": "/docs"}
_FILES = {
    "/": ("index.html", "page.css", "page.js", "api.js", "view.js", "icon.svg"),
    "/docs": ("docs.html", "docs.js", "icon.svg"),
}
"""The files of each page."""
_LINK = re.compile(rb'\s*<a href="([^"]*)">[^<]*</a>')
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
_SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")
_NO_SWAGGER = (
    b"<!doctype html><title>API</title>Swagger UI is missing here; see <a href=openapi.json>openapi.json</a>.\n"
)


def load(routes: Collection[str]) -> dict[str, tuple[bytes, bytes]]:
    """Read the files of the pages that are served; return path to (content type, body).

    Swagger UI comes with BentoML; if it is missing, `/docs` says so.

    Args:
        routes: paths of all routes that are served. The page has no link to another one.
    """
    files = {}
    for name in (name for page, names in _FILES.items() if page in routes for name in names):
        file = _FOLDER / name
        files[_PAGES.get(name, f"/page/{name}")] = (_TYPES[file.suffix], file.read_bytes())
    if "/" in routes:
        kind, page = files["/"]
        files["/"] = kind, _LINK.sub(lambda link: link[0] if f"/{link[1].decode()}" in routes else b"", page)
    if "/docs" in routes:
        files |= _swagger()
    return files


def _swagger() -> dict[str, tuple[bytes, bytes]]:
    folder = _swagger_folder()
    try:
        return {f"/docs/{name}": (_TYPES[Path(name).suffix], (folder / name).read_bytes()) for name in _SWAGGER}
    except OSError as error:
        logger.warning("no Swagger UI at /docs: %s", error)
        return {"/docs": (_TYPES[".html"], _NO_SWAGGER)}


def _swagger_folder() -> Path:
    found = find_spec("bentoml")
    root = Path(found.origin).parent if found is not None and found.origin else Path()
    return root / "_internal" / "server" / "static_content"
