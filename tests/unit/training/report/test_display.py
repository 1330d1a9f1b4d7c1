"""Numbers and names as a person reads them."""

from __future__ import annotations

import pytest

from training.report import display


@pytest.mark.parametrize(
    ("name", "most", "expected"),
    [
        ("cat", 3, "cat"),
        ("a_very_long_name_A", 11, "a_ver…ame_A"),
        ("健康的番茄叶片", 9, "健康…叶片"),
        ("a\nb\u202e\udcff", 99, "a\\nb\\u202e\\udcff"),
    ],
)
def test_names_are_shortened_in_the_middle(name: str, most: int, expected: str) -> None:
    assert display.shorten(name, most) == expected
    assert display.columns(expected) <= most


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (3599.6, "1 h 00 min"), (7620, "2 h 07 min")],
)
def test_durations_are_readable(seconds: float, expected: str) -> None:
    assert display.duration(seconds) == expected


@pytest.mark.parametrize(
    ("size", "expected"), [(999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB")]
)
def test_file_sizes_are_readable(size: int, expected: str) -> None:
    assert display.file_size(size) == expected
