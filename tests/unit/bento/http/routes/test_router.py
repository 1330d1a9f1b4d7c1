"""From paths to routes, by the table."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from bento.http.handlers.probes import Probes
from bento.http.pages import static
from bento.http.request import Request
from bento.http.routes.router import Router, Target
from bento.http.routes.table import ROUTES
from bento.inference.admission import Admission
from bento.inference.warmup import WarmModel
from bento.lifecycle import Lifecycle
from bento.settings import Settings
from tests.application_host import Host

SETTINGS = Settings()
PROBES = Probes(
    SETTINGS, Admission(SETTINGS), Lifecycle(0), static.load({route.path for route in ROUTES}), lambda: b"{}"
)


async def nothing() -> dict[str, Any]:
    raise AssertionError


def find(path: str) -> tuple[Target | None, dict[str, str]]:
    request = Request({"type": "http", "path": path, "headers": []}, nothing)
    return Router(ROUTES, PROBES, PROBES.files).find(request), request.parameters


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_of_the_table_is_found(route: Any) -> None:
    target, parameters = find(route.path.replace("{name}", "a b").replace("{version}", "v:1"))
    assert target is not None
    assert (target.path, target.methods, target.key) == (route.path, route.methods, route.key)
    assert parameters == {
        key: value for key, value in (("name", "a b"), ("version", "v:1")) if f"{{{key}}}" in route.path
    }


@pytest.mark.parametrize("path", ["/", "/docs", "/page/page.js", "/docs/swagger-ui.css"])
def test_pages_and_the_files_that_they_load_are_found(path: str) -> None:
    target, _ = find(path)
    assert target is not None
    assert (target.path, target.allow, target.key) == (path, b"GET, HEAD", False)


@pytest.mark.parametrize(
    "path", ["", "/predict/", "/predict/{name}", "/v2/models", "/v2/models//infer", "/v2/models/a/b"]
)
def test_another_path_has_no_route(path: str) -> None:
    assert find(path) == (None, {})


def test_paths_and_operations_are_listed_once() -> None:
    for names in ([route.path for route in ROUTES], [route.operation for route in ROUTES]):
        assert len(set(names)) == len(names)


def test_every_route_that_takes_an_image_asks_for_a_key_and_for_room() -> None:
    for route in ROUTES:
        takes_images = route.body is not None
        assert (route.admission, route.key, route.method == "POST") == (takes_images,) * 3, route.path
        assert route.admission or not route.early


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_wrong_method_is_answered_with_those_that_the_table_has(route: Any, model: WarmModel) -> None:
    async def scenario() -> httpx.Response:
        host = Host(lambda: model)
        return await host.client.request("DELETE", route.path.replace("{name}", "a").replace("{version}", "1"))

    answer = asyncio.run(scenario())
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == ", ".join(route.methods)
