"""A service that is terminated while busy, or whose model hangs: what it says of itself, and when."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.bento.processes.test_faults import answers, status, store_in, wait_for, worker
from tests.integration.conftest import Store, serving
from tests.stored import picture

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def slow_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store whose model is timed while nothing else runs."""
    return store_in(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("drain_delay", [0, 6])
def test_sigterm_loses_nothing_that_was_accepted(slow_store: Store, drain_delay: float) -> None:
    count = 100
    # One second of work, with a deadline that no machine is too slow for.
    started = serving(slow_store, ".", THREADS="1", DRAIN_DELAY=f"{drain_delay}", DEADLINE_MS="60000")
    with started as server, ThreadPoolExecutor(count) as pool:
        waiting = answers(server, pool, count)
        wait_for(lambda: server.metric("image_classifier_in_flight") + sum(f.done() for f in waiting) >= count)
        assert not all(future.done() for future in waiting)
        told = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        if drain_delay:
            wait_for(lambda: server.get("/readyz").status_code == 503, drain_delay / 2)
            late = server.predict(picture("green"))
            assert (late.status_code, late.json()["predicted_class"]) == (200, "green")
            assert status(server, "/livez") == 200
            assert server.get("/readyz").json()["code"] == "draining"
            assert time.monotonic() - told < drain_delay
        done = [future.result() for future in waiting]
        assert [response.status_code for response in done] == [200] * count
        assert {response.json()["predicted_class"] for response in done} == {"blue"}
        assert server.process.wait(timeout=20) == 0
        assert time.monotonic() - told >= drain_delay
        assert "Traceback" not in server.log.read_text()


@contextlib.contextmanager
def stopped_thread(tid: int) -> Iterator[None]:
    """Stop one thread of another process, and no other thread of it (ptrace(2))."""
    seize, interrupt, detach, all_children = 0x4206, 0x4207, 17, 0x40000000
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long] * 4
    if ptrace(seize, tid, 0, 0):
        pytest.skip(f"this machine lets no process trace another: {os.strerror(ctypes.get_errno())}")
    assert ptrace(interrupt, tid, 0, 0) == 0
    os.waitpid(tid, all_children)
    try:
        yield
    finally:
        ptrace(detach, tid, 0, 0)


def test_only_a_hung_model_fails_liveness(slow_store: Store) -> None:
    with serving(slow_store, ".", THREADS="1", HANG_TIMEOUT="1") as server, ThreadPoolExecutor(20) as pool:
        assert server.predict(picture("red")).status_code == 200
        tasks = Path(f"/proc/{worker(server).pid}/task").iterdir()
        (tid,) = (int(task.name) for task in tasks if (task / "comm").read_text() == "inference\n")
        with stopped_thread(tid):
            waiting = answers(server, pool, 10)
            wait_for(lambda: status(server, "/livez") == 503)
            assert server.get("/livez").json()["code"] == "not_live"
            # It is not ready either, until it is restarted.
            assert server.get("/readyz").json()["code"] == "not_live"
            assert status(server, "/metrics") == 200
            assert not any(future.done() and future.result().status_code == 200 for future in waiting)
            # Longer than the deadline of the images that wait.
            time.sleep(2)
        done = [future.result() for future in waiting]
        assert {response.status_code for response in done} <= {200, 503}
        late = [response for response in done if response.status_code == 503]
        assert {response.json()["code"] for response in late} == {"deadline_exceeded"}
        assert all(int(response.headers["retry-after"]) >= 1 for response in late)
        wait_for(lambda: status(server, "/livez") == 200)
        assert status(server, "/readyz") == 200
        assert server.predict(picture("red")).json()["predicted_class"] == "red"


def test_what_waits_for_a_hung_model_is_answered_at_its_deadline(slow_store: Store) -> None:
    """The kind: requests that wait in a pod until it is restarted, without an answer that a gateway could act on."""
    with serving(slow_store, ".", THREADS="1", DEADLINE_MS="1000") as server, ThreadPoolExecutor(20) as pool:
        assert server.predict(picture("red")).status_code == 200  # starts the thread
        tasks = Path(f"/proc/{worker(server).pid}/task").iterdir()
        (tid,) = (int(task.name) for task in tasks if (task / "comm").read_text() == "inference\n")
        with stopped_thread(tid):
            done = [future.result() for future in answers(server, pool, 10)]
        assert {response.status_code for response in done} == {503}
        assert {response.json()["code"] for response in done} == {"deadline_exceeded"}
        assert all(int(response.headers["retry-after"]) >= 1 for response in done)
        wait_for(lambda: server.predict(picture("red")).status_code == 200)
