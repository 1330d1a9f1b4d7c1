"""The list of files that `check --fix` writes and `--exclude` reads. It deletes and moves no image."""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from training.errors import UsageError

OPTIONS = ("data", "validation-data", "test-data")
_COLUMNS = ("file", "in", "problem", "action", "why")


@dataclass(frozen=True)
class Suspect:
    """A sample that should be left out of training, what is wrong with it, and what to do about it."""

    sample: int
    problem: str
    action: str
    why: str


def write(path: Path, rows: Iterable[tuple[str, str, Suspect]]) -> int:
    """Write (file, option, suspect) rows as CSV, one per file and problem, and return their number.

    Names that aren't UTF-8 keep their bytes. Each begins with "./", so that no spreadsheet reads "=..." as a formula.

    Raises:
        OSError: the list can't be written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    count = 0
    try:
        with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            table = csv.writer(file)
            table.writerow(_COLUMNS)
            for name, option, suspect in rows:
                table.writerow((f"./{name}", option, suspect.problem, suspect.action, suspect.why))
                count += 1
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def read(path: Path) -> dict[str, set[str]]:
    """Return the listed files, as paths below their folder, by the option that names it: one of `OPTIONS`.

    In a list without the column `in`, all files are those of `data`.

    Raises:
        UsageError: the file can't be read or isn't such a list.
    """
    found: dict[str, set[str]] = {option: set() for option in OPTIONS}
    try:
        content = path.read_bytes()
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = content.decode("utf-16", "replace")
        else:
            text = content.decode("utf-8-sig", "surrogateescape")
        # A spreadsheet separates the columns by its country's habit. No name of ours has these characters.
        separator = next((mark for mark in ";\t" if mark in text.partition("\n")[0]), ",")
        with io.StringIO(text, newline="") as file:
            table = csv.DictReader(file, delimiter=separator)
            if "file" not in (table.fieldnames or ()):
                raise UsageError(f"--exclude {path} has no column `file`; pass a list that `check --fix` wrote")
            for row in table:
                option = row.get("in") or "data"
                if option not in found:
                    raise UsageError(
                        f"--exclude {path}, line {table.line_num}: `in` is {option!r}, not one of {', '.join(OPTIONS)}"
                    )
                if row["file"]:
                    found[option].add(os.path.normpath(row["file"]))
    except OSError as error:
        raise UsageError(f"--exclude {path}: {error.strerror}") from error
    except csv.Error as error:
        raise UsageError(f"--exclude {path}: {error}") from error
    return found
