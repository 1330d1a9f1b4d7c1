"""Shapes: when each request of a load test is due."""

from __future__ import annotations

import itertools
import math
import statistics
from pathlib import Path

import pytest

from loadtests import shapes
from loadtests.shapes import Shape, Stage


def moments(shape: Shape, count: int, **options: bool | int) -> list[float]:
    return list(itertools.islice(shape.arrivals(**options), count))  # type: ignore[arg-type]


def test_a_steady_rate_has_equal_gaps_and_no_end() -> None:
    steady = shapes.load("steady", 4)
    assert moments(steady, 5) == [0, 0.25, 0.5, 0.75, 1]
    assert steady.seconds == math.inf
    assert steady.due(10) == 40


@pytest.mark.parametrize(("name", "rate"), [("ramp", 12), ("spike", 12), ("find-capacity", 0.1)])
def test_each_second_has_as_many_arrivals_as_requests_due(name: str, rate: float) -> None:
    shape = shapes.load(name, rate)
    found = list(shape.arrivals())
    assert found == sorted(found)
    assert len(found) == pytest.approx(shape.due(shape.seconds), abs=1)
    for second in range(int(shape.seconds)):
        came = sum(second <= moment < second + 1 for moment in found)
        assert came == pytest.approx(shape.due(second + 1) - shape.due(second), abs=2)


def test_a_ramp_rises_linearly() -> None:
    shape = Shape((Stage(0, 10, 0, 20),))
    assert [shape.due(moment) for moment in (0, 5, 10)] == [0, 25, 100]
    assert all(stage.due(stage.moment(7)) == pytest.approx(7) for stage in shape.stages)


def test_workers_share_the_requests_without_gaps_or_duplicates() -> None:
    shape = shapes.load("spike", 10)
    shared = [moment for position in range(3) for moment in shape.arrivals(position, 3)]
    assert sorted(shared) == list(shape.arrivals())


def test_poisson_arrivals_have_the_rate_and_the_spread_of_independent_clients() -> None:
    steady = shapes.load("steady", 50)
    found = moments(steady, 20_000, poisson=True)
    gaps = [after - before for before, after in itertools.pairwise(found)]
    assert statistics.mean(gaps) == pytest.approx(1 / 50, rel=0.05)
    assert statistics.stdev(gaps) == pytest.approx(1 / 50, rel=0.05)
    assert found == moments(steady, 20_000, poisson=True)
    assert found != moments(steady, 20_000, poisson=True, position=1)


def test_poisson_arrivals_of_several_workers_add_up_to_the_rate() -> None:
    shape = Shape((Stage(0, 100, 40, 40),))
    counts = [len(list(shape.arrivals(position, 4, poisson=True))) for position in range(4)]
    assert sum(counts) == pytest.approx(4000, rel=0.1)


def test_the_search_for_the_capacity_rises_in_steps_with_pauses() -> None:
    shape = shapes.load("find-capacity", 8)
    assert [step.first for step in shape.steps[:3]] == [8, 10, 12.5]
    assert shape.due(15) == shape.due(10) == 80
    assert shape.steps[1].begin == 15


def test_a_shape_can_be_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "[lunch]\nstages = [{ seconds = 2, rate = 1 }, { seconds = 2, rate = 0 }, { seconds = 1, rate = 2 }]\n"
    )
    assert list(shapes.load(str(path), 1).arrivals()) == [0, 1, 4, 4.5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]\nstages = []\n", "has no stages"),
        ("[a]\nstages = [{ seconds = 1 }]\n", "'rate' is missing"),
        (
            "[a]\nstages = [{ seconds = 1, rate = 1, form = 2 }]\n",
            "unknown key form; a stage has seconds, from and rate",
        ),
        ("[a]\nstages = [{ seconds = -1, rate = 1 }]\n", "seconds above 0"),
        ("[a]\nstages = [{ rate = 1 }, { seconds = 1, rate = 1 }]\n", "only the last stage may omit seconds"),
        ("[a]\nstages = [{ rate = 1, from = 2 }]\n", "a stage without seconds needs a constant rate above 0"),
        ("[a]\nstages = 3\n", "not iterable"),
        ("[a]\nsteps = { seconds = 1, pause = 1, growth = 1, most = 3 }\n", "steps need"),
        ("[a]\nsteps = { seconds = 1 }\n", "missing 3 required"),
        ("[a]\n[b]\n", "must have one table, but has 2"),
        ("[a\n", "Expected"),
    ],
)
def test_an_invalid_shape_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as caught:
        shapes.load(str(path), 1)
    assert str(caught.value).startswith(f"--shape {path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "rate"), [("wave", 1), ("steady", 0), ("/nowhere.toml", 1)])
def test_an_unknown_shape_or_a_rate_of_zero_is_refused(name: str, rate: float) -> None:
    with pytest.raises(ValueError, match=r"^--(shape|rate) "):
        shapes.load(name, rate)
