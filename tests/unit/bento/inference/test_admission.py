"""Admission and shedding, keys, the answer cache and the life cycle."""

from __future__ import annotations

import asyncio
import signal
import threading

import numpy as np
import pytest
from pydantic import SecretStr

from bento.errors import RequestError
from bento.http.keys import KeyRing
from bento.inference import admission
from bento.inference.admission import Admission
from bento.inference.cache import AnswerCache
from bento.lifecycle import Lifecycle
from bento.settings import Settings


def refusal(gate: Admission) -> RequestError:
    with pytest.raises(RequestError) as caught:
        gate.enter()
    return caught.value


def test_a_full_queue_sheds_the_next_image() -> None:
    gate = Admission(Settings(queue_limit=2))
    gate.enter()
    gate.enter()
    assert refusal(gate).code == "queue_full"
    gate.leave(answered=True)
    gate.enter()
    assert gate.images == 2


def test_no_more_images_are_admitted_than_can_be_answered_in_time() -> None:
    gate = Admission(Settings(queue_limit=256, deadline_ms=1000))
    gate.expect(0.1)
    for _ in range(7):
        gate.enter()
    error = refusal(gate)
    assert (error.code, error.headers) == ("queue_full", [(b"retry-after", b"1")])


def test_even_the_slowest_model_admits_one_image_at_a_time() -> None:
    gate = Admission(Settings(deadline_ms=1000))
    gate.expect(5)
    gate.enter()
    assert refusal(gate).headers == [(b"retry-after", b"5")]


class Clock:
    """A replacement of `perf_counter`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(admission, "perf_counter", lambda: self.now)

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def answer(gate: Admission, clock: Clock, seconds: float, images: int, inside: int) -> None:
    """Answer `images`, one every `seconds`, with a queue depth of `inside`."""
    while gate.images < inside:
        gate.enter()
    for _ in range(images):
        clock.passes(seconds)
        gate.leave(answered=True)
        gate.enter()


def places(gate: Admission) -> int:
    """Return how many images an empty queue admits."""
    while gate.images:
        gate.leave(answered=False)
    while not gate.full:
        gate.enter()
    return gate.images


@pytest.mark.parametrize("dropped", [0, 9], ids=["none", "nine tenths"])
def test_the_rate_is_learned_from_answered_images_only(clock: Clock, dropped: int) -> None:
    gate = Admission(Settings(queue_limit=256, deadline_ms=1000))
    gate.expect(0.001)
    for _ in range(8):
        gate.enter()
    for _ in range(200):
        for _ in range(1 + dropped):
            if not gate.full:
                gate.enter()
        clock.passes(0.05)
        gate.leave(answered=True)
        while gate.images > 8:
            gate.leave(answered=False)
    # 20 images per second: 0.7 s of them may wait.
    assert places(gate) == 14


def test_idle_time_does_not_lower_the_rate(clock: Clock) -> None:
    gate = Admission(Settings(queue_limit=4, deadline_ms=1000))
    gate.expect(0.001)
    for _ in range(100):
        gate.enter()
        gate.leave(answered=True)
        clock.passes(10)
    assert places(gate) == 4


def test_few_requests_do_not_lower_the_rate(clock: Clock) -> None:
    gate = Admission(Settings(queue_limit=256, deadline_ms=1000))
    gate.expect(0.01)
    answer(gate, clock, seconds=0.1, images=100, inside=3)
    assert places(gate) == 70


def test_few_requests_can_raise_the_rate(clock: Clock) -> None:
    gate = Admission(Settings(queue_limit=256, deadline_ms=1000))
    gate.expect(0.1)
    answer(gate, clock, seconds=0.01, images=1000, inside=1)
    assert 69 <= places(gate) <= 70


def test_a_stall_costs_three_tenths_of_the_limit(clock: Clock) -> None:
    gate = Admission(Settings(queue_limit=256, deadline_ms=1000))
    gate.expect(0.01)
    for _ in range(8):
        gate.enter()
    clock.passes(20)
    answer(gate, clock, seconds=0.01, images=4, inside=8)
    assert places(gate) == 49


@pytest.mark.parametrize("before", [0.001, 10], ids=["fast", "slow"])
def test_the_limit_follows_a_model_that_becomes_slower_or_faster(clock: Clock, before: float) -> None:
    gate = Admission(Settings(queue_limit=256, deadline_ms=1000))
    gate.expect(before)
    for _ in range(400):
        gate.enter()
        if gate.full or gate.images > 8:
            clock.passes(0.05)
            gate.leave(answered=True)
    assert 13 <= places(gate) <= 14


def test_the_sum_of_all_bodies_is_bounded() -> None:
    gate = Admission(Settings(max_body_bytes=10, max_buffered_bytes=15))
    gate.hold(10)
    with pytest.raises(RequestError, match="waiting"):
        gate.hold(6)
    gate.release(10)
    gate.hold(6)
    assert gate.buffered == 6


@pytest.mark.parametrize(
    ("headers", "good"),
    [
        ({b"x-api-key": b"one"}, True),
        ({b"x-api-key": b"two"}, True),
        ({b"authorization": b"Bearer two"}, True),
        ({b"authorization": b"bearer  two"}, True),
        ({b"authorization": b"Basic two"}, False),
        ({b"x-api-key": b"one,two"}, False),
        ({b"x-api-key": b""}, False),
        ({b"x-api-key": b"\xff"}, False),
        ({}, False),
    ],
)
def test_any_configured_key_is_accepted(headers: dict[bytes, bytes], good: bool) -> None:
    ring = KeyRing(SecretStr("one, two,"))
    if good:
        ring.check(headers)
    else:
        with pytest.raises(RequestError) as caught:
            ring.check(headers)
        assert caught.value.code == "unauthorized"


def test_no_keys_accept_every_request_and_empty_keys_none() -> None:
    KeyRing(None).check({})
    with pytest.raises(RequestError):
        KeyRing(SecretStr(" , ")).check({b"x-api-key": b""})


def test_the_cache_evicts_the_least_recently_used_answer() -> None:
    cache = AnswerCache("model:1", 2)
    keys = [cache.key(image) for image in (b"a", b"b", b"c")]
    cache.put(keys[0], np.array([0]))
    cache.put(keys[1], np.array([1]))
    assert cache.get(keys[0]) is not None
    cache.put(keys[2], np.array([2]))
    assert cache.get(keys[1]) is None
    assert [tuple(cache.get(key) or ()) for key in (keys[0], keys[2])] == [(0, None), (2, None)]


def test_a_cached_answer_without_novelty_is_none_to_who_asks_for_it() -> None:
    cache = AnswerCache("model:1", 2)
    key = cache.key(b"a")
    cache.put(key, np.array([1]))
    assert cache.get(key, unknown=True) is None
    cache.put(key, np.array([1]), 0.5)
    assert tuple(cache.get(key, unknown=True) or ()) == tuple(cache.get(key) or ()) == (1, 0.5)


def test_a_model_never_gets_the_cached_answer_of_another_model() -> None:
    assert AnswerCache("model:1", 2).key(b"a") != AnswerCache("model:2", 2).key(b"a")


def test_sigterm_drains_before_the_server_exits() -> None:
    signals: list[int] = []
    previous = signal.signal(signal.SIGTERM, lambda number, frame: signals.append(number))

    async def scenario() -> None:
        lifecycle = Lifecycle(drain_delay=2)
        assert (lifecycle.refusal() or RequestError("", "")).code == "not_ready"
        lifecycle.drain_on_sigterm(asyncio.get_running_loop())
        lifecycle.ready()
        assert lifecycle.unready() is None
        threading.Thread(target=signal.raise_signal, args=[signal.SIGTERM]).start()
        async with asyncio.timeout(10):
            while lifecycle.state == "ready":
                await asyncio.sleep(0.01)
            assert (lifecycle.unready() or RequestError("", "")).code == "draining"
            assert lifecycle.refusal() is None
            assert signals == []
            while not signals:
                await asyncio.sleep(0.01)
        assert (lifecycle.refusal() or RequestError("", "")).code == "draining"

    try:
        asyncio.run(scenario())
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert signals == [signal.SIGTERM]


def test_requests_read_in_one_iteration_do_not_all_take_the_one_free_slot() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        gate = Admission(Settings(queue_limit=2))
        assert [gate.refuses_next(loop) for _ in range(4)] == [False, False, True, True]
        await asyncio.sleep(0)
        gate.enter()
        assert [gate.refuses_next(loop) for _ in range(2)] == [False, True]

    asyncio.run(scenario())
