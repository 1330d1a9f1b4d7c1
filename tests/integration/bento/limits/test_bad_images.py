"""The whole corpus of images, sent to a real server: each gets its exact answer and harms nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import httpx
import psutil
import pytest

from tests.corpus import bombs, broken, cut, endless, foreign, items, misbuilt, unusual
from tests.corpus.case import Case
from tests.integration.conftest import Server, Store, serving
from tests.stored import picture, write_entry

CASES = list(
    chain.from_iterable(module.cases() for module in (foreign, cut, broken, misbuilt, items, unusual, bombs, endless))
)
SPARE = 64 * 2**20


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this module's own; at the end it has its memory, files and threads back, and is the same process."""
    root = tmp_path_factory.mktemp("bad-images")
    store = Store(root / "home")
    store.publish(write_entry(root / "entry"))
    with serving(store, ".", DEADLINE_MS="30000") as server:
        (worker,) = psutil.Process(server.process.pid).children()
        # What a first image of every kind loads stays: decoders, threads, the memory they work in.
        for case in unusual.cases():
            server.predict(case.body)
        memory, files, threads = worker.memory_info().rss, worker.num_fds(), worker.num_threads()
        yield server
        assert worker.is_running()
        assert worker.memory_info().rss - memory < SPARE
        assert worker.num_fds() <= files + 1
        # The pools of threads fill up as they are used.
        assert worker.num_threads() <= threads + 12
        log = server.log.read_text()
        assert "Traceback" not in log
        assert '"level": "error"' not in log


@pytest.fixture(scope="module")
def client(target: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=target.url, timeout=60) as client:
        yield client


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) > 600


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_image_gets_its_exact_answer_and_the_next_one_too(client: httpx.Client, case: Case) -> None:
    answer = client.post("/predict", files={"file": ("x.jpg", case.body, "image/jpeg")})
    told = answer.json()
    assert (answer.status_code, told.get("predicted_class") or told.get("code")) == (
        case.answer.status,
        case.answer.says,
    )
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert told["detail"]
        assert "\n" not in told["detail"]
        assert len(told["detail"]) < 200
    after = client.post("/predict", content=picture("green"), headers={"content-type": "image/png"})
    assert (after.status_code, after.json()["predicted_class"]) == (200, "green")


def test_bad_images_in_a_batch_harm_no_other(client: httpx.Client) -> None:
    small = [case for case in CASES if isinstance(case.source, bytes) and len(case.source) < 10_000]
    for first in range(0, len(small), 50):
        cases = small[first : first + 50]
        files = [("file", ("x", body)) for case in cases for body in (case.body, picture("blue"))]
        answers = client.post("/predict/batch", files=files).json()
        assert [entry.get("predicted_class") or entry["code"] for entry in answers[0::2]] == [
            case.answer.says for case in cases
        ]
        assert {entry["predicted_class"] for entry in answers[1::2]} == {"blue"}
