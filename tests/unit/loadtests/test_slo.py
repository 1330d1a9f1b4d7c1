"""Service levels: their syntax and the verdict."""

from __future__ import annotations

import pytest

from k8s.checks.load import check_slo
from loadtests.slo import Figures, parse, verdict


def figures(requests: int = 1000, errors: int = 0, milliseconds: float = 100) -> Figures:
    return Figures(requests, errors, lambda share: milliseconds * share)


@pytest.mark.parametrize(
    ("text", "found", "holds", "said"),
    [
        ("p99=200ms,errors=0", figures(), True, "p99 99 ms <= 200ms; errors 0 of 1000 <= 0"),
        ("p50=0.04s", figures(), False, "p50 50 ms > 0.04s"),
        ("errors=0", figures(errors=1), False, "errors 1 of 1000 > 0"),
        ("errors=0.1%", figures(errors=1), True, "errors 0.10% of 1000 <= 0.1%"),
        ("p99=1s", figures(requests=0), False, "no request was due"),
        ("", figures(), True, "1000 requests"),
    ],
)
def test_a_verdict_shows_each_figure(text: str, found: Figures, holds: bool, said: str) -> None:
    judged = verdict(parse(text), found)
    assert (judged.holds, str(judged)) == (holds, said)


@pytest.mark.parametrize("text", ["p99", "p99=200", "p100=1s", "errors=x", "speed=1", "p0=1ms"])
def test_an_invalid_level_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write p99=200ms"):
        parse(text)


@pytest.mark.parametrize("text", ["p99=200ms,errors=0", "p99.9=1.5s", "errors=0.1%"])
def test_the_release_command_accepts_the_levels_of_the_load_test(text: str) -> None:
    assert check_slo(text) == text
    assert parse(text)
