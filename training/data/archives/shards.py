"""Find the archives that a user names: one, several by a pattern, or all in a folder."""

from __future__ import annotations

import itertools
import re

from training.errors import UsageError

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}/]*,[^{}/]*)\}")
_MOST = 100_000


def expand(text: str, option: str) -> list[str]:
    """Return the names that a pattern such as photos-{000..127}.tar or {a,b}.tar stands for; another text as it is.

    Raises:
        UsageError: a range runs backwards, or they are too many.
    """
    pieces: list[list[str]] = []
    end = 0
    for found in _RANGE.finditer(text):
        if found[3] is None:
            first, last = int(found[1]), int(found[2])
            if first > last or last - first >= _MOST:
                raise UsageError(f"{option}: the range {found[0]} must run upwards, over at most {_MOST:,} numbers")
            width = len(found[1]) if found[1].startswith("0") else 1
            choices = [f"{number:0{width}}" for number in range(first, last + 1)]
        else:
            choices = found[3].split(",")
        pieces += [[text[end : found.start()]], choices]
        end = found.end()
    pieces.append([text[end:]])
    count = 1
    for choices in pieces:
        count *= len(choices)
    if count > _MOST:
        raise UsageError(f"{option} stands for {count:,} archives; at most {_MOST:,} are allowed")
    return ["".join(chosen) for chosen in itertools.product(*pieces)]
