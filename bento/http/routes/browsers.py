"""The routes for people: the OpenAPI document and the pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bento.http.handlers.probes import Probes
from bento.http.routes.route import HTML, JSON, Route

_PAGE: Mapping[str, Any] = {"tag": "about", "answers": {HTML: str}, "answer": "A page."}

DOCS = (
    Route(
        "GET",
        "/openapi.json",
        Probes.document,
        operation="openapi",
        tag="about",
        summary="Return the OpenAPI 3.1 document of all routes",
        answers={JSON: dict[str, Any]},
        answer="This document.",
    ),
    Route(
        "GET",
        "/docs",
        Probes.file,
        operation="docs",
        summary="Show the OpenAPI document, to read and try",
        **_PAGE,
    ),
)

PAGE = (
    Route(
        "GET",
        "/",
        Probes.file,
        operation="page",
        summary="Show a page to drop images on",
        **_PAGE,
    ),
)
