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


def statuses(asked: Settings, model: WarmModel, port: int) -> dict[str, int]:
    """Return the status of each path on a port, and of a file of each page."""

    async def scenario() -> dict[str, int]:
        host = Host(lambda: model, asked)
        await host.start()
        found = {}
        transport = httpx.ASGITransport(host.application)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=f"http://test:{port}") as client:

            async def ready() -> bool:
                return host.application.lifecycle.state == "ready"

            await host.until(ready)
            for route in ROUTES:
                path = route.path.replace("{name}", "image_classifier").replace("{version}", "unit")
                # No image is sent, so a route that takes one answers with another 4xx than 404.
                found[route.path] = (await client.request(route.method, path)).status_code
            for path in ("/page/page.js", "/page/docs.js"):
                found[path] = (await client.get(path)).status_code
        return found

    return asyncio.run(scenario())


def test_each_port_answers_its_own_routes_alone(model: WarmModel) -> None:
    found = statuses(settings(port=PORT), model, PORT)
    assert {path for path, status in found.items() if status != 404} == paths(MANAGEMENT)
    assert {found[path] for path in paths(MANAGEMENT)} == {200}


def test_the_main_port_knows_nothing_of_the_management_port(model: WarmModel) -> None:
    found = statuses(settings(port=PORT), model, 3000)
    # /explain answers 404 by itself, as this form of the model can't be explained.
    assert {path for path, status in found.items() if status == 404} - {"/explain"} == paths(MANAGEMENT)


def test_what_is_switched_off_answers_404_with_its_files(model: WarmModel) -> None:
    found = statuses(settings(("docs", "v2"), PORT), model, 3000)
    off = paths(OPTIONAL["docs"]) | paths(OPTIONAL["v2"]) | paths(MANAGEMENT) | {"/page/docs.js"}
    assert {path for path, status in found.items() if status == 404} - {"/explain"} == off
    assert found["/page/page.js"] == 200
