"""The machinery of `make soak` in seconds: every kind of traffic is answered as it should be, and a leak is seen."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import soak
from tests.integration.conftest import Store, serving
from tests.stored import write_entry

pytestmark = pytest.mark.alone


def flat(seconds: float) -> soak.Sample:
    return soak.Sample(seconds, memory=100, files=20, threads=10, series=300)


def test_every_kind_of_traffic_is_answered_as_it_should_be(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    store.publish(write_entry(tmp_path / "entry"))
    # What the machine does besides mustn't be taken for an overload.
    with serving(store, ".", DEADLINE_MS="30000") as server:
        result = soak.soak(server, 6)
    assert set(result.right) == set(soak.KINDS)
    assert result.wrong == Counter()
    assert len(result.samples) >= 4
    assert all(sample.memory > 10 and sample.files > 3 and sample.series > 50 for sample in result.samples)
    soak.draw(result, tmp_path / "soak.png")
    with Image.open(tmp_path / "soak.png") as drawn:
        assert drawn.size == (900, 900)
    assert soak.verdict(result).splitlines()[-1] in ("passed", "FAILED")


@pytest.mark.parametrize(
    ("quantity", "begin", "end"),
    [("memory", 100, 112), ("files", 20, 40), ("threads", 10, 14), ("series", 300, 304)],
)
def test_what_rises_fails_the_soak(quantity: str, begin: float, end: float) -> None:
    level = soak.Soak([flat(i) for i in range(100)], Counter(small=1), Counter())
    assert level.passed
    rising = [soak.Sample(**vars(flat(i)) | {quantity: begin + (end - begin) * i / 99}) for i in range(100)]
    result = soak.Soak(rising, Counter(small=1), Counter())
    assert [name for name, trend in result.trends.items() if not trend.flat] == [quantity]
    assert not result.passed
    assert "RISING" in soak.verdict(result)


def test_the_warm_up_may_rise_and_a_falling_line_is_flat() -> None:
    samples = [soak.Sample(**vars(flat(i)) | {"memory": 50 + min(i, 20) * 5 - i / 10}) for i in range(101)]
    assert soak.Soak(samples, Counter(small=1), Counter()).passed


def test_a_wrong_answer_fails_the_soak() -> None:
    result = soak.Soak([flat(i) for i in range(100)], Counter(small=1), Counter(batch=1))
    assert not result.passed
    assert "WRONG ANSWERS: {'batch': 1}" in soak.verdict(result)
