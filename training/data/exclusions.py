"""The list of files that `check --fix` writes and `--exclude` reads. It deletes and moves no image."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from training.data import tables
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
        columns, rows = tables.read(path.read_bytes(), path.suffix)
        if "file" not in columns:
            raise UsageError(f"--exclude {path} has no column `file`; pass a list that `check --fix` wrote")
        for line, row in rows:
            option = row.get("in") or "data"
            if option not in found:
                raise UsageError(f"--exclude {path}, line {line}: `in` is {option!r}, not one of {', '.join(OPTIONS)}")
            if row["file"]:
                found[option].add(os.path.normpath(row["file"]))
    except OSError as error:
        raise UsageError(f"--exclude {path}: {error.strerror}") from error
    except tables.TableError as error:
        raise UsageError(f"--exclude {path}: {error}") from error
    return found
