"""The table of routes in the documentation."""

from __future__ import annotations

import pytest

from bento.http.routes.reference import END, PAGE, START, table, written
from bento.http.routes.table import ROUTES


def test_the_documentation_has_the_table_of_routes_as_it_is() -> None:
    page = PAGE.read_text()
    assert written(page) == page, "run: make routes"


def test_the_table_has_a_row_for_each_route() -> None:
    rows = table(ROUTES).splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [f"{route.method} {route.path}" for route in ROUTES]


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    assert written(f"before\n{START}old\n{END}after\n") == f"before\n{START}{table(ROUTES)}{END}after\n"


def test_a_page_without_the_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="lacks the line"):
        written("no table")
