"""The files for browsers: the page at / and Swagger UI at /docs. They load nothing from other servers."""

from __future__ import annotations

import logging
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


def load() -> dict[str, tuple[bytes, bytes]]:
    """Read all files; return path to (content type, body).

    Swagger UI comes with BentoML; if it is missing, `/docs` says so.
    """
    files = {}
    for file in sorted(_FOLDER.iterdir()):
        if file.suffix in _TYPES:
            path = _PAGES.get(file.name, f"/page/{file.name}")
            files[path] = (_TYPES[file.suffix], file.read_bytes())
    swagger = _swagger_folder()
    try:
        for name in _SWAGGER:
            files[f"/docs/{name}"] = (_TYPES[Path(name).suffix], (swagger / name).read_bytes())
    except OSError as error:
        logger.warning("no Swagger UI at /docs: %s", error)
        files = {path: file for path, file in files.items() if not path.startswith("/docs/")}
        files["/docs"] = (_TYPES[".html"], _NO_SWAGGER)
    return files


def _swagger_folder() -> Path:
    found = find_spec("bentoml")
    root = Path(found.origin).parent if found is not None and found.origin else Path()
    return root / "_internal" / "server" / "static_content"
