"""Read a table as people have it: CSV from a spreadsheet of any country, or JSON Lines. Knows no column."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

SUFFIXES = (".csv", ".tsv", ".jsonl")


class TableError(Exception):
    """The content is no such table; the message says where, in one line."""


Row = tuple[int, dict[str, Any]]
"""The number of a line, and its values by column."""


def read(content: bytes, suffix: str) -> tuple[list[str], Iterator[Row]]:
    """Return the columns (of JSON Lines, those of the first row) and the rows. Bytes that aren't UTF-8 are kept.

    Args:
        content: UTF-8 with or without its mark, or UTF-16 with it.
        suffix: ".jsonl" for an object on each line; otherwise the columns are separated by commas, semicolons or tabs.

    Raises:
        TableError: a line is no row; also while the rows are taken.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", "replace")
    else:
        text = content.decode("utf-8-sig", "surrogateescape")
    if suffix != ".jsonl":
        return _separated(text)
    rows = _objects(text)
    first = list(itertools.islice(rows, 1))
    return list(first[0][1]) if first else [], itertools.chain(first, rows)


def _objects(text: str) -> Iterator[Row]:
    # Only a line feed ends a line of JSON: `splitlines` would also end one at U+2028, which a string may hold.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise TableError(f"line {number} is no JSON object")
        yield number, row


def _separated(text: str) -> tuple[list[str], Iterator[Row]]:
    # A spreadsheet separates the columns by its country's habit. No name of a column has these characters.
    separator = next((mark for mark in ";\t" if mark in text.partition("\n")[0]), ",")
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    lines = _numbered(table)
    columns = next(lines, (0, []))[1]
    width = len(columns)
    return columns, (
        (number, dict(zip(columns, row + [""] * (width - len(row)), strict=False))) for number, row in lines if row
    )


def _numbered(table: Any) -> Iterator[tuple[int, list[str]]]:
    while True:
        try:
            row = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            raise TableError(f"line {table.line_num}: {error}") from error
        yield table.line_num, row
