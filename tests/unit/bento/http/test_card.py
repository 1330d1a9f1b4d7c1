"""The model's card at /version, for clients that ask for Markdown."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from bento.inference.warmup import WarmModel
from model_format import card
from model_format.layout import CARD
from tests.application_host import TAG, Host

MARKDOWN = "text/markdown"


def ask(model: WarmModel, accept: str) -> httpx.Response:
    async def scenario() -> httpx.Response:
        host = Host(lambda: model)
        await host.start()
        await host.until(host.is_ready)
        return await host.client.get("/version", headers={"accept": accept})

    return asyncio.run(scenario())


def test_the_card_is_the_version_in_markdown(model: WarmModel) -> None:
    card.write(model.served.path.parent, "# 番茄\n")
    answer = ask(model, f"{MARKDOWN}, text/plain;q=0.5")
    assert (answer.status_code, answer.text) == (200, "# 番茄\n")
    assert answer.headers["content-type"] == f"{MARKDOWN}; charset=utf-8"
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", ["*/*", "application/json", f"{MARKDOWN}, application/json", "text/*"])
def test_the_version_stays_json_for_everybody_else(model: WarmModel, accept: str) -> None:
    card.write(model.served.path.parent, "# x\n")
    answer = ask(model, accept)
    assert (answer.headers["content-type"], answer.headers["vary"]) == ("application/json", "Accept")
    assert answer.json()["model"] == TAG
    assert "card" not in answer.json()


def test_a_model_without_a_card_says_how_to_get_one(model: WarmModel) -> None:
    answer = ask(model, MARKDOWN)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_card")
    assert answer.json()["detail"].endswith(f"`python -m training card {TAG}` prints what is known")


def test_a_damaged_card_fails_its_own_request_alone(model: WarmModel, caplog: pytest.LogCaptureFixture) -> None:
    (model.served.path.parent / CARD).write_bytes(b"\xff\xfe")
    answer = ask(model, MARKDOWN)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "it is no UTF-8 text" in caplog.text
    assert ask(model, "*/*").status_code == 200
