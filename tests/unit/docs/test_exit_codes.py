"""The pages on training name every exit code of `python -m training`; every error has one of them."""

from __future__ import annotations

import re
from pathlib import Path

from training import errors
from training.cli import PROGRAM

PAGES = [Path("docs") / page for page in ("training.md", "distributed-training.md", "tuning.md")]


def test_the_pages_name_every_exit_code() -> None:
    rows = [code for page in PAGES for code in re.findall(r"^\| (\d+) \|", page.read_text(), re.M)]
    assert {int(code) for code in rows} == set(PROGRAM.exit_codes)


def test_the_help_names_the_exit_code_of_every_error() -> None:
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TrainingError)
    ]
    assert {kind.exit_code for kind in kinds} < set(PROGRAM.exit_codes)
