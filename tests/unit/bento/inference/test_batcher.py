"""When the batcher calls the model, and with which images. The clock stands still."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bento.errors import RequestError
from bento.inference.admission import Admission
from bento.inference.batcher import Batcher, InferenceThread, classify
from bento.inference.cost import CostCurve
from bento.inference.inline import InlineModel
from bento.inference.work import ClientDisconnected, Work
from bento.settings import Settings
from bento.telemetry import metrics

PIXELS = np.zeros((2, 2, 3), np.uint8)


class Bench:
    """A batcher whose calls and timers are recorded, not run."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fixed: float, each: float = 0.001, most: int = 8) -> None:
        self.loop = loop
        self.calls: list[list[Work]] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        cost = CostCurve()
        for images in (1, 2, 4, 8):
            cost.update(images, fixed + each * images)
        self.batcher = Batcher(self.calls.append, cost, most, 0.005, self)  # type: ignore[arg-type]

    def call_later(self, seconds: float, callback: Callable[..., None], *arguments: int) -> asyncio.TimerHandle:
        self.timers.append((seconds, lambda: callback(*arguments)))
        return self.loop.call_later(3600, lambda: None)

    def put(self, count: int, seconds: float = 60, gone: Callable[[], bool] = lambda: False) -> list[Work]:
        works = [Work(None, PIXELS, self.loop.create_future(), seconds, gone) for _ in range(count)]
        for work in works:
            self.batcher.put(work)
        return works

    def finish(self) -> None:
        self.batcher.finished(len(self.calls[-1]))

    @property
    def sizes(self) -> list[int]:
        return [len(call) for call in self.calls]


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def shed(reason: str) -> float:
    value: float = metrics.shed.labels(reason)._value.get()
    return value


def test_an_idle_model_is_called_at_once(loop: asyncio.AbstractEventLoop) -> None:
    bench = Bench(loop, fixed=0.01)
    for _ in range(5):
        bench.put(1)
        bench.finish()
    assert bench.sizes == [1] * 5
    assert bench.timers == []


def test_images_that_arrive_during_a_call_share_the_next_one(loop: asyncio.AbstractEventLoop) -> None:
    bench = Bench(loop, fixed=0.01)
    bench.put(1)
    bench.put(5)
    assert bench.sizes == [1]
    bench.finish()
    assert bench.sizes == [1, 5]


def test_a_batch_is_no_larger_than_allowed(loop: asyncio.AbstractEventLoop) -> None:
    bench = Bench(loop, fixed=0.01, most=4)
    bench.put(1)
    bench.put(8)
    for _ in range(3):
        bench.finish()
    assert bench.sizes == [1, 4, 4]


def test_without_a_fixed_cost_each_image_gets_its_own_call(loop: asyncio.AbstractEventLoop) -> None:
    bench = Bench(loop, fixed=0)
    bench.put(4)
    for _ in range(3):
        bench.finish()
    assert bench.sizes == [1, 1, 1, 1]
    assert bench.timers == []


def test_an_idle_model_waits_once_for_as_many_images_as_its_last_call_had(
    loop: asyncio.AbstractEventLoop,
) -> None:
    bench = Bench(loop, fixed=0.01)
    bench.put(1)
    bench.put(3)
    bench.finish()
    bench.finish()
    assert bench.sizes == [1, 3]

    bench.put(1)
    assert bench.sizes == [1, 3]
    bench.put(2)
    assert bench.sizes == [1, 3, 3], "all have come: there is nothing to wait for"
    bench.finish()

    bench.put(1)
    seconds, time_is_up = bench.timers[-1]
    assert seconds == 0.005
    time_is_up()
    assert bench.sizes == [1, 3, 3, 1]
    bench.finish()
    timers = len(bench.timers)
    bench.put(1)
    assert bench.sizes == [1, 3, 3, 1, 1]
    assert len(bench.timers) == timers


def test_the_batching_delay_is_never_longer_than_the_fixed_cost(loop: asyncio.AbstractEventLoop) -> None:
    bench = Bench(loop, fixed=0.002)
    bench.put(1)
    bench.put(3)
    bench.finish()
    bench.finish()
    bench.put(1)
    assert bench.timers[-1][0] == pytest.approx(0.002)


def test_late_and_abandoned_images_are_dropped_before_the_call(loop: asyncio.AbstractEventLoop) -> None:
    bench = Bench(loop, fixed=0.01)
    before = shed("disconnected"), shed("deadline_exceeded")
    bench.put(1)
    gone = bench.put(2, gone=lambda: True)
    late = bench.put(3, seconds=0.001)
    cancelled = bench.put(1)[0]
    cancelled.result.cancel()
    kept = bench.put(1)
    bench.finish()
    assert bench.calls[-1] == kept
    assert (shed("disconnected"), shed("deadline_exceeded")) == (before[0] + 2, before[1] + 3)
    assert all(isinstance(work.result.exception(), ClientDisconnected) for work in gone)
    for work in late:
        error = work.result.exception()
        assert isinstance(error, RequestError)
        assert (error.code, error.headers) == ("deadline_exceeded", [(b"retry-after", b"1")])


def test_no_call_is_made_if_all_its_images_were_dropped(loop: asyncio.AbstractEventLoop) -> None:
    bench = Bench(loop, fixed=0.01)
    bench.put(3, gone=lambda: True)
    assert bench.calls == []
    bench.put(1)
    assert bench.sizes == [1]


def poisonous(images: np.ndarray) -> np.ndarray:
    if images.max() == 13:
        raise ValueError("unlucky")
    return images[:, 0, 0, :1].astype(np.float32)


def works(loop: asyncio.AbstractEventLoop, *values: int) -> list[Work]:
    return [Work(None, PIXELS + value, loop.create_future(), 60, lambda: False) for value in values]


def test_an_image_on_which_the_model_fails_does_not_fail_the_others(loop: asyncio.AbstractEventLoop) -> None:
    answers = classify(poisonous, works(loop, 1, 13, 3))
    assert [answer.tolist() for answer in answers if isinstance(answer, np.ndarray)] == [[1], [3]]
    assert answers[1] is None


def test_the_models_thread_gives_each_image_its_own_answer(loop: asyncio.AbstractEventLoop) -> None:
    async def scenario() -> list[object]:
        running = asyncio.get_running_loop()
        thread = InferenceThread(poisonous, CostCurve(), running)
        finished: list[int] = []
        thread.finished = finished.append
        batch = works(running, 1, 13, 3)
        thread.start(batch)
        results: list[object] = await asyncio.gather(*(work.result for work in batch), return_exceptions=True)
        thread.close()
        assert finished == [3]
        assert thread.busy_seconds == 0
        return results

    first, second, third = loop.run_until_complete(scenario())
    assert (first, third) == (1, 3)
    assert isinstance(second, RequestError)
    assert second.code == "internal_error"


def test_the_models_thread_has_a_higher_nice_value_than_the_others() -> None:
    def priorities() -> tuple[int, int]:
        # On Linux each thread has its own priority, which it inherits from the thread that starts it.
        mine = min(os.getpriority(os.PRIO_PROCESS, 0) + 7, 19)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), mine)
        seen: list[int] = []

        def run(images: np.ndarray) -> np.ndarray:
            seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return poisonous(images)

        async def scenario() -> None:
            running = asyncio.get_running_loop()
            thread = InferenceThread(run, CostCurve(), running)
            batch = works(running, 1)
            thread.start(batch)
            await batch[0].result
            thread.close()

        asyncio.run(scenario())
        return mine, seen[0]

    with ThreadPoolExecutor(1) as pool:
        mine, models = pool.submit(priorities).result(timeout=30)
    assert models == min(mine + 5, 19)


def test_inline_images_read_in_one_iteration_share_a_call(loop: asyncio.AbstractEventLoop) -> None:
    cost = CostCurve()
    for images in (1, 2, 4, 8):
        cost.update(images, 0.0002)
    sizes: list[int] = []

    def run(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        return poisonous(images)

    model = InlineModel(run, cost, lambda work: None, 0, 8, 0, Admission(Settings()), loop)
    batch = works(loop, *range(5))
    for work in batch:
        model.put(work)
    assert sizes == []
    answers = loop.run_until_complete(asyncio.gather(*(work.result for work in batch)))
    assert [answer.tolist() for answer in answers] == [[0], [1], [2], [3], [4]]
    assert sizes == [5]


def test_inline_the_event_loop_runs_between_calls(loop: asyncio.AbstractEventLoop) -> None:
    cost = CostCurve()
    cost.update(1, 0.01)
    order: list[str] = []

    def run(images: np.ndarray) -> np.ndarray:
        order.append("model")
        # Longer than one iteration may take.
        loop.run_in_executor(None, int)
        end = loop.time() + 0.01
        while loop.time() < end:
            pass
        return poisonous(images)

    model = InlineModel(run, cost, lambda work: None, 0, 8, 0, Admission(Settings()), loop)
    batch = works(loop, 1, 2)
    for work in batch:
        model.put(work)
    loop.call_soon(order.append, "other")
    loop.run_until_complete(batch[1].result)
    assert order == ["model", "other", "model"]


def test_inline_a_hanging_thread_is_noticed(loop: asyncio.AbstractEventLoop) -> None:
    cost = CostCurve()
    cost.update(1, 0.0001)
    may_end = threading.Event()
    main = threading.current_thread()

    def run(images: np.ndarray) -> np.ndarray:
        assert threading.current_thread() is main or may_end.wait(30)
        return poisonous(images)

    model = InlineModel(run, cost, lambda work: None, 0, 8, 1, Admission(Settings()), loop)
    batch = works(loop, *range(4))
    for work in batch:
        model.put(work)
    loop.run_until_complete(asyncio.wait([work.result for work in batch], return_when=asyncio.FIRST_COMPLETED))
    first = model.busy_seconds
    assert 0 < first < model.busy_seconds
    may_end.set()
    loop.run_until_complete(asyncio.wait([work.result for work in batch]))
    assert model.busy_seconds == 0
    model.close()
