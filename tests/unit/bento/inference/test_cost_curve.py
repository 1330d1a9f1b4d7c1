from __future__ import annotations

import pytest

from bento.inference.cost import CostCurve


def curve(a: float, b: float, sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)) -> CostCurve:
    cost = CostCurve()
    for n in sizes:
        cost.update(n, a * n + b)
    return cost


@pytest.mark.parametrize(("a", "b"), [(0.001, 0.01), (0.05, 0), (0, 0.01), (0.0003, 0.00003)])
def test_the_line_fits_the_measurements(a: float, b: float) -> None:
    assert curve(a, b).line == pytest.approx((a, b), abs=1e-9)
    assert curve(a, b).seconds(10) == pytest.approx(10 * a + b)


@pytest.mark.parametrize(
    ("a", "b", "most", "size"),
    [(0.05, 0, 32, 1), (0.001, 0.01, 32, 32), (0.001, 0.01, 1024, 100), (0, 0.01, 32, 32), (0.01, 0.001, 32, 1)],
)
def test_the_best_size_is_the_smallest_that_shares_the_fixed_cost(a: float, b: float, most: int, size: int) -> None:
    assert curve(a, b).best_size(most) == size


def test_without_a_measurement_calls_cost_nothing() -> None:
    assert CostCurve().line == (0, 0)
    assert CostCurve().best_size(8) == 8


def test_the_cost_of_calls_of_one_size_is_attributed_to_the_images() -> None:
    assert curve(0.001, 0.01, sizes=(4,)).line == pytest.approx((0.0035, 0))


def test_neither_part_is_ever_negative() -> None:
    falling, steep = CostCurve(), CostCurve()
    for n, seconds in ((1, 0.03), (8, 0.01)):
        falling.update(n, seconds)
    for n, seconds in ((1, 0.001), (8, 0.1)):
        steep.update(n, seconds)
    assert falling.line[0] == 0
    assert steep.line[1] == 0
    assert min(*falling.line, *steep.line) >= 0


def test_hours_of_lone_images_do_not_erase_the_cost_of_batches() -> None:
    cost = curve(0.001, 0.01)
    for _ in range(100_000):
        cost.update(1, 0.011)
    assert cost.best_size(32) == 32


def test_a_machine_that_becomes_slower_is_noticed() -> None:
    cost = curve(0.001, 0.01)
    for _ in range(200):
        for n in (1, 8, 32):
            cost.update(n, 3 * (0.001 * n + 0.01))
    assert cost.line == pytest.approx((0.003, 0.03), rel=0.3)
