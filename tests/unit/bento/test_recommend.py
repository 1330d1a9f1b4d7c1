from __future__ import annotations

import pytest

from bento.inference.cost import CostCurve
from bento.recommend import recommend


def curve(a: float, b: float) -> CostCurve:
    cost = CostCurve()
    for n in (1, 2, 4, 8, 16, 32):
        cost.update(n, a * n + b)
    return cost


def test_batches_are_as_large_as_the_target_allows() -> None:
    cost = curve(0.001, 0.01)
    sizes = []
    for target in (0.04, 0.06, 0.2):
        found = recommend(cost, 0.001, target, 32, inline=False)
        assert found is not None
        size = int(found.settings["MAX_BATCH_SIZE"])
        assert 2 * cost.seconds(size) + 0.001 <= target
        assert float(found.settings["DEADLINE_MS"]) == pytest.approx(1e3 * target)
        sizes.append(size)
    assert sizes == [5, 13, 32]


def test_queued_images_are_answered_within_the_target() -> None:
    cost = curve(0.001, 0.01)
    found = recommend(cost, 0.001, 0.1, 32, inline=False)
    assert found is not None
    assert int(found.settings["QUEUE_LIMIT"]) / found.rate + cost.seconds(32) <= 0.1
    assert 0 < float(found.settings["MAX_WAIT_MS"]) <= 5


def test_a_model_without_a_fixed_cost_gets_no_batches() -> None:
    found = recommend(curve(0.05, 0), 0.01, 1, 32, inline=False)
    assert found is not None
    assert (found.settings["MAX_BATCH_SIZE"], found.settings["MAX_WAIT_MS"]) == ("1", "0")
    assert found.rate == pytest.approx(20)


def test_on_the_event_loop_decoding_lowers_the_rate() -> None:
    found = recommend(curve(0.0003, 0), 0.0002, 0.05, 32, inline=True)
    assert found is not None
    assert found.settings["EXECUTION"] == "inline"
    assert found.rate == pytest.approx(2000)
    # Images of one iteration share a call, whether that saves time or not.
    assert found.settings["MAX_BATCH_SIZE"] == "32"


def test_a_target_below_the_cost_of_one_image_gets_no_settings() -> None:
    assert recommend(curve(0.05, 0), 0.01, 0.1, 32, inline=False) is None
