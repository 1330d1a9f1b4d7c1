"""Write the table of routes in docs/service.md: `python -m bento.http.routes.reference`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bento.errors import STATUS
from bento.http.routes.route import Route
from bento.http.routes.table import ROUTES

PAGE = Path("docs/service.md")
START, END = "<!-- routes: written by make routes -->\n", "<!-- end of routes -->\n"


def table(routes: Iterable[Route]) -> str:
    """Return the Markdown table of the routes."""
    rows = ["| route | what it does | errors |", "|---|---|---|"]
    for route in routes:
        errors = ", ".join(str(status) for status in sorted({STATUS[code] for code in route.errors}))
        about = " ".join(filter(None, [f"{route.summary}.", route.description]))
        rows.append(f"| `{route.method} {route.path}` | {about} | {errors} |")
    return "\n".join(rows) + "\n"


def written(page: str) -> str:
    """Return the page with its table replaced by the present one.

    Raises:
        ValueError: the page doesn't mark where the table starts and ends.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{PAGE} lacks the line {START.strip()!r} or {END.strip()!r}")
    return "".join((before, start, table(ROUTES), end, after))


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
