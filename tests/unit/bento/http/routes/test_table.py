"""Which routes the main port has: all, less those of the management port, less those that are switched off."""

from __future__ import annotations

import asyncio
import json
from itertools import chain, combinations
from pathlib import Path

import httpx
import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from bento.http.routes.openapi import document
from bento.http.routes.table import MANAGEMENT, OPTIONAL, ROUTES, TAGS, main_routes
from bento.inference.warmup import WarmModel
from bento.models.model import ServedModel
from bento.settings import Settings
from tests.application_host import Host

SERVED = ServedModel("image_classifier:v1", "onnx", Path("model.onnx"), ["cat", "dog"], 8)
GROUPS = sorted(OPTIONAL)
CHOICES = list(chain.from_iterable(combinations(GROUPS, count) for count in range(len(GROUPS) + 1)))
PORT = 3001


def settings(disabled: tuple[str, ...] = (), port: int | None = None) -> Settings:
    return Settings(disabled_routes=",".join(disabled) or None, management_port=port)


def paths(routes: tuple[object, ...]) -> set[str]:
    return {route.path for route in routes}  # type: ignore[attr-defined]


def test_by_default_the_main_port_has_every_route() -> None:
    assert main_routes(Settings()) == ROUTES


def test_the_management_port_takes_probes_metrics_and_version_from_the_main_port() -> None:
    assert paths(MANAGEMENT) == {"/livez", "/healthz", "/readyz", "/metrics", "/version"}
    assert paths(main_routes(settings(port=PORT))) == paths(ROUTES) - paths(MANAGEMENT)


def test_the_groups_are_what_their_names_say() -> None:
    assert paths(OPTIONAL["docs"]) == {"/docs", "/openapi.json"}
    assert paths(OPTIONAL["page"]) == {"/"}
    assert paths(OPTIONAL["v2"]) == {path for path in paths(ROUTES) if path.startswith("/v2")}


@pytest.mark.parametrize("port", [None, PORT])
@pytest.mark.parametrize("disabled", CHOICES)
def test_the_document_describes_the_routes_of_the_main_port_alone(disabled: tuple[str, ...], port: int | None) -> None:
    """The kind: a document that is made from all routes promises some that answer 404."""
    routes = main_routes(settings(disabled, port))
    made = document(routes, TAGS, SERVED, False)
    assert set(made["paths"]) == paths(routes)
    assert {tag["name"] for tag in made["tags"]} == {route.tag for route in routes}
    assert list(jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(made)) == []
    named = {part.split('"')[0] for part in json.dumps(made).split('"#/components/schemas/')[1:]}
    assert named == set(made["components"]["schemas"])


def found(asked: Settings, port: int) -> set[str]:
    """Return the routes that a port has, and the files of pages. The model isn't loaded, so no handler answers 404."""

    async def scenario() -> set[str]:
        host = Host(no_model, asked)
        transport = httpx.ASGITransport(host.application)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=f"http://test:{port}") as client:
            wanted = [(route.method, route.path) for route in ROUTES]
            wanted += [("GET", "/page/page.js"), ("GET", "/page/docs.js")]
            return {path for method, path in wanted if (await client.request(method, path)).status_code != 404}

    return asyncio.run(scenario())


def no_model() -> WarmModel:
    raise AssertionError


FILES = {"/page/page.js", "/page/docs.js"}


def test_each_port_answers_its_own_routes_alone() -> None:
    """The kind: what one port doesn't have must not be reached through the other."""
    asked = settings(port=PORT)
    assert found(asked, PORT) == paths(MANAGEMENT)
    assert found(asked, 3000) == (paths(ROUTES) - paths(MANAGEMENT)) | FILES
    assert found(settings(), PORT) == paths(ROUTES) | FILES


def test_what_is_switched_off_answers_404_with_its_files() -> None:
    """The kind: a page that is switched off and whose scripts still answer, as these are in no table of routes."""
    off = paths(OPTIONAL["docs"]) | paths(OPTIONAL["v2"]) | {"/page/docs.js"}
    assert found(settings(("docs", "v2")), 3000) == (paths(ROUTES) | FILES) - off
