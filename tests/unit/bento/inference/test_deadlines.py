"""Images that wait while a call of the model hangs, with a model that hangs until it is told to go on."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from dataclasses import replace

import httpx
import numpy as np
import pytest

from bento.errors import RequestError
from bento.inference.deadlines import Deadlines
from bento.inference.warmup import WarmModel
from bento.inference.work import Work
from bento.settings import Settings
from tests.application_host import PNG, Host
from tests.stored import picture


def work(seconds: float) -> Work:
    return Work(None, None, asyncio.get_running_loop().create_future(), seconds, lambda: False)


def test_images_are_answered_at_their_deadline_while_a_call_hangs() -> None:
    async def scenario() -> list[BaseException | np.ndarray]:
        deadlines = Deadlines(0.01, lambda: 60, asyncio.get_running_loop())
        waiting = [work(0.01) for _ in range(3)]
        for each in waiting:
            deadlines.watch(each)
        return await asyncio.gather(*(each.result for each in waiting), return_exceptions=True)

    for error in asyncio.run(scenario()):
        assert isinstance(error, RequestError)
        assert (error.code, error.headers) == ("deadline_exceeded", [(b"retry-after", b"1")])


def test_a_call_that_is_shorter_than_a_deadline_may_end_late() -> None:
    async def scenario() -> bool:
        deadlines = Deadlines(0.01, lambda: 0.005, asyncio.get_running_loop())
        deadlines.watch(late := work(0.01))
        await asyncio.sleep(0.1)
        return late.result.done()

    assert not asyncio.run(scenario())


def test_an_image_whose_deadline_is_to_come_waits_on() -> None:
    async def scenario() -> tuple[bool, bool]:
        deadlines = Deadlines(0.01, lambda: 60, asyncio.get_running_loop())
        deadlines.watch(first := work(0.01))
        deadlines.watch(second := work(600))
        await asyncio.wait([first.result])
        return first.result.exception() is not None, second.result.done()

    assert asyncio.run(scenario()) == (True, False)


def test_an_answered_image_is_not_kept_until_its_deadline() -> None:
    """The kind: what is watched for a deadline keeps all images of the last seconds in memory."""

    class Watched(Work):
        __slots__ = ("__weakref__",)

    async def scenario() -> bool:
        deadlines = Deadlines(600, lambda: 0, asyncio.get_running_loop())
        answered = Watched(b"image", None, asyncio.get_running_loop().create_future(), 600, lambda: False)
        kept = weakref.ref(answered)
        deadlines.watch(answered)
        deadlines.forget(answered)
        del answered
        gc.collect()
        return kept() is not None

    assert not asyncio.run(scenario())


@pytest.mark.parametrize("inline", [False, True])
def test_what_waits_for_a_model_that_hangs_is_answered_503(model: WarmModel, inline: bool) -> None:
    """The kind: a request that waits for something that never ends gets no answer that a gateway could act on."""
    may_end, main = threading.Event(), threading.current_thread()

    def hangs(images: np.ndarray) -> np.ndarray:
        assert threading.current_thread() is main or may_end.wait(600)
        return model.run(images)

    async def scenario() -> list[httpx.Response]:
        settings = Settings(deadline_ms=1000, hang_timeout=600, threads=2)
        host = Host(lambda: replace(model, run=hangs, inline=inline), settings)
        await host.start()
        async with asyncio.timeout(600):
            while host.application.lifecycle.state != "ready":
                await asyncio.sleep(0.01)
            sent = [host.client.post("/predict", content=picture("red"), headers=PNG) for _ in range(8)]
            return await asyncio.gather(*sent)

    try:
        answers = asyncio.run(scenario())
    finally:
        may_end.set()
    # Inline, the event loop itself classifies what its thread has not taken.
    late = [answer for answer in answers if answer.status_code != 200]
    assert inline or len(late) == 8
    assert all(answer.json()["code"] == "deadline_exceeded" for answer in late)
    assert all((answer.status_code, answer.headers["retry-after"]) == (503, "1") for answer in late)
