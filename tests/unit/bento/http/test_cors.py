"""Pages of other origins: what an answer tells the browser, whatever its status."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bento.inference.warmup import WarmModel
from bento.settings import Settings, SettingsError, read_settings
from tests.application_host import Host

PAGE = "https://app.example.com"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}


def _ask(origins: str | None, origin: str, method: str, path: str, **headers: str) -> Any:
    def never() -> WarmModel:
        raise ValueError("no model")

    async def scenario() -> Any:
        host = Host(never, Settings(cors_origins=origins, api_keys="secret"))
        async with host.listening() as client:
            return await client.request(method, path, headers={"origin": origin, **headers})

    return asyncio.run(scenario())


@pytest.mark.parametrize(("origins", "allowed"), [("*", "*"), (f"http://other.example , {PAGE}", PAGE)])
def test_a_preflight_needs_no_key_and_names_the_methods_and_headers_of_its_route(origins: str, allowed: str) -> None:
    answer = _ask(origins, PAGE, "OPTIONS", "/predict", **PREFLIGHT)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == allowed
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert {"Authorization", "X-API-Key"} <= set(answer.headers["access-control-allow-headers"].split(", "))
    assert answer.headers.get("vary") == (None if allowed == "*" else "Origin")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/livez", 200), ("POST", "/predict", 401), ("GET", "/none", 404), ("GET", "/readyz", 503)],
)
def test_a_page_can_read_every_answer_with_its_headers(method: str, path: str, status: int) -> None:
    answer = _ask(PAGE, PAGE, method, path)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == PAGE
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    assert {"X-Request-ID", "Retry-After", "Server-Timing"} <= exposed
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origins", [None, "https://other.example"])
def test_an_origin_that_is_not_allowed_gets_nothing(origins: str | None) -> None:
    for method, headers in (("GET", {}), ("OPTIONS", PREFLIGHT)):
        answer = _ask(origins, PAGE, method, "/predict", **headers)
        assert answer.status_code == 405
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("text", ["", " , ", "app.example.com", f"{PAGE}/", f"{PAGE}/path"])
def test_a_value_that_is_no_origin_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", text)
    with pytest.raises(SettingsError, match=r"^CORS_ORIGINS=.*(there is no origin in it|is no origin)"):
        read_settings()


def test_a_page_can_read_that_the_queue_is_full(model: WarmModel) -> None:
    """The connection itself writes this answer, without the application."""

    async def scenario() -> Any:
        host = Host(lambda: model, Settings(cors_origins=PAGE, queue_limit=1))
        await host.start()
        await host.until(host.is_ready)
        host.application.admission.enter()
        async with host.listening() as client:
            return await client.post("/predict", content=b"x", headers={"origin": PAGE})

    answer = asyncio.run(scenario())
    assert answer.status_code == 429
    assert "retry-after" in answer.headers
    assert answer.headers["access-control-allow-origin"] == PAGE
