"""Check file names for the name of another class, and for patterns that reveal the class. Opens no file."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

import numpy as np

from training.checks import majority
from training.checks.collection import Collection
from training.data.exclusions import Suspect
from training.data.names import class_of
from training.report.display import printable

_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+|[^\W\d_]+")
_NUMBER = re.compile(r"\d+")
_FEWEST_LETTERS = 3
_NUMBER_BINS = 50
_LISTED = 500


def find(images: Collection, seed: int) -> tuple[dict[str, Any], list[Suspect]]:
    """Check all names below the class folders.

    Returns:
        The report's section, and the files that have the name of another class in theirs.
    """
    names = [words(name) for name in images.class_names]
    finder = _Finder({" ".join(name): label for label, name in enumerate(names) if _is_name(name)})
    own, strangers, stems = 0, [], []
    for sample, label in enumerate(images.labels.tolist()):
        path = PurePath(images.file(sample))
        if len(path.parts) > 1 and class_of(path.parts[0]) == images.class_names[label]:
            path = PurePath(*path.parts[1:])  # below the class's folder; a list's paths may have none
        found = finder(words(str(path.with_suffix(""))))
        if label in found:
            own += 1
        else:
            # "bear" in a file of the class "polar bear" doesn't name another class.
            others = [other for other in found if not set(names[other]) <= set(names[label])]
            # The longest name counts: in a file of cows, "polar bear" names the polar bear.
            strangers += [(sample, other) for other in sorted(others, key=lambda i: -len(names[i]))[:1]]
        stems.append((_without(path.stem.casefold(), names[label]), path.suffix.lower()))
    section = {
        "own_class": own,
        "other_class": len(strangers),
        "telling": _telling(stems, images.labels, seed),
        "listed": [images.describe(i) | {"named": images.class_names[other]} for i, other in strangers[:_LISTED]],
    }
    return section, [_suspect(images, sample, other) for sample, other in strangers]


def words(text: str) -> list[str]:
    """Split "polarBear_01-x" into polar, bear, 01, x."""
    return [word.casefold() for word in _WORD.findall(text)]


class _Finder:
    """Find class names, each of one or several words, among the words of a file's name."""

    def __init__(self, labels: dict[str, int]) -> None:
        self._labels = labels
        self._lengths = sorted({name.count(" ") + 1 for name in labels})

    def __call__(self, text: list[str]) -> list[int]:
        runs = (" ".join(text[i : i + n]) for n in self._lengths for i in range(len(text) - n + 1))
        return list(dict.fromkeys(self._labels[run] for run in runs if run in self._labels))


def _is_name(name: list[str]) -> bool:
    """Return whether a class can be recognised by its name. "7" and "a" occur in any name."""
    return sum(map(len, name)) >= _FEWEST_LETTERS and not all(word.isdigit() for word in name)


def _without(stem: str, name: list[str]) -> str:
    """Return the stem without the name of its class, which is a common convention and no problem."""
    for word in name:
        if len(word) >= _FEWEST_LETTERS:
            stem = stem.replace(word, "")
    return stem


def _telling(stems: list[tuple[str, str]], labels: np.ndarray, seed: int) -> list[dict[str, Any]]:
    numbers = np.array([float((_NUMBER.findall(stem) or ["-1"])[-1][:15]) for stem, _ in stems])
    edges = np.quantile(numbers, np.linspace(0, 1, _NUMBER_BINS + 1)[1:-1])
    by = {
        "pattern": [_NUMBER.sub(lambda run: "0" * len(run.group()), stem) for stem, _ in stems],
        "prefix": [_NUMBER.split(stem, maxsplit=1)[0] for stem, _ in stems],
        "number": np.searchsorted(edges, numbers, side="right").tolist(),
        "extension": [suffix for _, suffix in stems],
    }
    measured = {name: majority.accuracy(values, labels, seed) for name, values in by.items()}
    return [
        {"by": name, "right": right, "guessing": guessing}
        for name, (right, guessing) in measured.items()
        if majority.predicts((right, guessing))
    ]


def _suspect(images: Collection, sample: int, other: int) -> Suspect:
    name = printable(images.class_names[other])
    return Suspect(sample, "other class's name", f"perhaps move to {name}", f"its name says {name}")
