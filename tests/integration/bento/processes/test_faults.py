"""A service that is stopped, killed, or out of disk space or file descriptors."""

from __future__ import annotations

import contextlib
import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.conftest import Server, Store, serving, wait_until_ready
from tests.slow_model import write_slow_entry
from tests.stored import picture

MILLISECONDS = 10


def store_in(root: Path) -> Store:
    """Return a store with a model that takes 10 ms per image."""
    store = Store(root / "home")
    store.publish(write_slow_entry(root / "entry", MILLISECONDS))
    return store


@pytest.fixture(scope="module")
def slow_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return store_in(tmp_path_factory.mktemp("faults"))


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def worker(server: Server) -> psutil.Process:
    (process,) = psutil.Process(server.process.pid).children()
    return process


def status(server: Server, path: str, seconds: float = 30) -> int:
    """Return the status of the answer; 0 if none comes in time."""
    try:
        return httpx.get(server.url + path, timeout=seconds).status_code
    except httpx.TransportError:
        return 0


def answers(server: Server, pool: ThreadPoolExecutor, count: int) -> list[Future[httpx.Response]]:
    """Send this many images, at once if `pool` has a thread for each."""
    return [pool.submit(server.predict, picture("blue")) for _ in range(count)]


def test_an_idle_server_stops_at_once(slow_store: Store) -> None:
    with serving(slow_store, ".", DRAIN_DELAY="0") as server:
        with httpx.Client(base_url=server.url) as idle:
            assert idle.get("/livez").status_code == 200
            started = time.monotonic()
            # A silent connection must not delay the shutdown.
            assert server.stop() == 0
        assert time.monotonic() - started < 10


def test_a_client_that_reads_nothing_does_not_delay_the_shutdown(slow_store: Store) -> None:
    with serving(slow_store, ".", DRAIN_DELAY="0", RECEIVE_TIMEOUT="1") as server, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 40)
        wait_for(lambda: server.metric("image_classifier_requests_total", route="/docs/swagger-ui-bundle.js") > 0)
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()


def test_load_alone_never_fails_liveness(slow_store: Store) -> None:
    with serving(slow_store, ".", THREADS="1", HANG_TIMEOUT="5") as server, ThreadPoolExecutor(100) as pool:
        waiting = answers(server, pool, 250)
        while not all(future.done() for future in waiting):
            assert status(server, "/livez") == 200
        assert {future.result().status_code for future in waiting} <= {200, 429, 503}


def test_a_stopped_process_times_out_the_probe_and_resumes_its_work(slow_store: Store) -> None:
    with serving(slow_store, ".", THREADS="1") as server:
        process = worker(server)
        process.suspend()
        try:
            assert status(server, "/livez", 0.5) == 0
        finally:
            process.resume()
        assert status(server, "/livez") == 200
        assert server.predict(picture("red")).json()["predicted_class"] == "red"


def test_a_killed_worker_is_replaced(slow_store: Store) -> None:
    started = serving(slow_store, ".", THREADS="1", DEADLINE_MS="60000")
    with started as server, ThreadPoolExecutor(20) as pool:
        killed = worker(server)
        waiting = answers(server, pool, 100)
        wait_for(lambda: server.metric("image_classifier_in_flight") > 0)
        killed.kill()
        for future in waiting:
            # Its own requests are lost, the next worker may get the others, and no answer is wrong.
            with contextlib.suppress(httpx.TransportError):
                answer = future.result().json()
                assert answer.get("code") == "not_ready" or answer["predicted_class"] == "blue"
        wait_until_ready(server)
        assert server.predict(picture("red")).json()["predicted_class"] == "red"
        assert worker(server).pid != killed.pid


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own, which is full."""
    place = tmp_path / "full"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine lets us mount nothing: {done.stderr.strip()}")
    try:
        with contextlib.suppress(OSError), (place / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"\0" * 4096)
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_does_not_stop_the_service(slow_store: Store, full_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (full_disk / "more").write_bytes(b"\0" * 4096)
    large = picture("blue", "BMP", (2500, 2500))
    with serving(slow_store, ".", THREADS="1", DEADLINE_MS="60000", TMPDIR=str(full_disk)) as server:
        for image, colour in ((picture("red"), "red"), (large, "blue"), (picture("green", "JPEG"), "green")):
            assert server.predict(image).json()["predicted_class"] == colour
        files = [("file", ("x", image)) for image in (picture("red"), large)]
        batch = httpx.post(server.url + "/predict/batch", files=files, timeout=30).json()
        assert [entry["predicted_class"] for entry in batch] == ["red", "blue"]
        assert status(server, "/readyz") == status(server, "/metrics") == 200
        assert "Traceback" not in server.log.read_text()


def test_running_out_of_file_descriptors_affects_only_new_connections(slow_store: Store) -> None:
    with serving(slow_store, ".", THREADS="1") as server:
        process = worker(server)
        limit = process.num_fds() + 20
        with httpx.Client(base_url=server.url, timeout=30) as early, contextlib.ExitStack() as hoard:
            assert early.get("/livez").status_code == 200
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, limit))
            for _ in range(100):
                hoard.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            for _ in range(20):
                answer = early.post("/predict", files={"file": ("x", picture("green"))})
                assert answer.json()["predicted_class"] == "green"
            assert process.num_fds() <= limit
        wait_for(lambda: status(server, "/livez", 1) == 200, 20)
        assert server.predict(picture("red")).json()["predicted_class"] == "red"
        # Meanwhile the log stayed short.
        assert server.log.stat().st_size < 2**20
