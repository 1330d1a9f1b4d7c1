"""Which images are explained, refused and dropped, with a model whose time the test controls."""

from __future__ import annotations

import asyncio
import threading
from time import perf_counter

import numpy as np
import pytest

from bento.errors import RequestError
from bento.inference.explain import _MOST, Explainer
from bento.inference.work import ClientDisconnected, Work
from imaging.gradcam import GradCam

PROBABILITIES = np.array([0.1, 0.9], np.float32)


class Held(GradCam):
    """A Grad-CAM that answers once the test lets it."""

    def __init__(self) -> None:
        self.go, self.calls = threading.Event(), 0

    def __call__(self, pixels: np.ndarray, label: int) -> np.ndarray:
        self.calls += 1
        assert self.go.wait(20)
        return np.full((2, 2), label, np.float32)


def work(seconds: float = 20, gone: bool = False) -> Work:
    future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
    return Work(None, np.zeros((8, 8, 3), np.uint8), future, seconds, lambda: gone)


def test_without_the_keras_form_the_error_names_the_setting() -> None:
    with pytest.raises(RequestError, match="RUNTIME=keras") as caught:
        Explainer("start the service with RUNTIME=keras", ["cat", "dog"]).check()
    assert caught.value.code == "explanations_off"


def test_a_full_queue_refuses_explanations_before_their_body_is_read() -> None:
    cam = Held()
    explainer = Explainer(cam, ["cat", "dog"])

    async def scenario() -> None:
        waiting = [asyncio.create_task(explainer.answer(PROBABILITIES, work(), None, False)) for _ in range(_MOST)]
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError) as caught:
            explainer.check()
        assert (caught.value.code, caught.value.headers) == ("queue_full", [(b"retry-after", b"1")])
        assert explainer.busy_seconds > 0
        cam.go.set()
        assert all(b'"class": "dog"' in body for body in await asyncio.gather(*waiting))
        explainer.check()
        assert explainer.busy_seconds == 0

    asyncio.run(scenario())
    explainer.close()


def test_late_and_abandoned_images_are_not_explained() -> None:
    cam = Held()
    cam.go.set()
    explainer = Explainer(cam, ["cat", "dog"])

    async def scenario() -> None:
        late = work(seconds=0)
        assert perf_counter() >= late.deadline
        with pytest.raises(RequestError) as caught:
            await explainer.answer(PROBABILITIES, late, None, False)
        assert caught.value.code == "deadline_exceeded"
        with pytest.raises(ClientDisconnected):
            await explainer.answer(PROBABILITIES, work(gone=True), None, False)
        with pytest.raises(RequestError, match="failed on this image"):
            await explainer.answer(np.array([np.nan, np.nan], np.float32), work(), None, False)

    asyncio.run(scenario())
    assert cam.calls == 0
    explainer.close()
