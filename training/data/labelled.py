"""Files whose labels stand beside them instead of in the names of their folders: in a list, or in an archive."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from training.data.names import as_text, class_of, part_of, some
from training.data.source import Rejected, Source, Stat
from training.errors import DataError

logger = logging.getLogger(__name__)

_LONGEST_LABEL = 255

COLUMNS = {
    "path": ("path", "file_name", "filename", "file", "image"),
    "label": ("label", "class", "cls", "class_name"),
    "group": ("group",),
    "part": ("part", "split"),
}
"""The names that each column may have, in any case."""

Values = tuple[str | None, str | None, str | None]
"""Label, group and part."""


class Sample(NamedTuple):
    """A file by its path below the source, with its label, and its group and part if it has them."""

    file: str
    stat: Stat
    label: str
    group: str | None = None
    part: str | None = None


class Labelled:
    """Samples of the source `base`. See `source.Source`.

    Args:
        base: reads the files.
        address: what messages call these samples.
        name: what reports call the data set.
        samples: in a fixed order.
        rejected: files that are left out.
    """

    def __init__(
        self, base: Source, address: str, name: str, samples: Iterable[Sample] = (), rejected: Iterable[Rejected] = ()
    ) -> None:
        self._base, self._address, self.name = base, address, name
        self.samples, self.rejected = list(samples), list(rejected)

    def __reduce__(self) -> tuple[type[Labelled], tuple[Source, str, str]]:
        return Labelled, (self._base, self._address, self.name)  # Decoder processes are told what to read.

    def __str__(self) -> str:
        return self._address

    @property
    def files_per_task(self) -> int:
        return self._base.files_per_task

    @property
    def waits(self) -> bool:
        return self._base.waits

    @property
    def identity(self) -> str:
        return self._base.identity

    def read(self, files: list[str], stats: list[Stat]) -> Iterator[str | bytes | Rejected]:
        return self._base.read(files, stats)

    def path(self, file: str) -> Path | None:
        return self._base.path(file)

    def divided(self) -> dict[str, Labelled]:
        """Return the samples of "train", "validation" and "test"; none if they are not divided into several parts.

        Raises:
            DataError: some samples have no part, or none are for training.
        """
        found: dict[str | None, list[Sample]] = {}
        for sample in self.samples:
            found.setdefault(sample.part, []).append(sample)
        if len(found) < 2:
            return {}
        if None in found:
            raise DataError(
                f"{self} names no part for some images ({as_text(found[None][0].file)}, {len(found[None])} in all); "
                "fill in the part of all images, or of none"
            )
        if "train" not in found:
            raise DataError(f"{self} has images for {' and '.join(map(str, found))}, but none for train")
        # Files that are left out belong to the whole; they are counted once.
        return {
            str(part): Labelled(self._base, self._address, self.name, samples, self.rejected if part == "train" else ())
            for part, samples in found.items()
        }

    def by_folders(self) -> Labelled:
        """Return the samples with the parts that their top folders name, unless they have some or these are classes."""
        tops = {sample.file.partition("/")[0] for sample in self.samples if "/" in sample.file}
        parts = {top: part_of(top) for top in tops}
        given = any(sample.part for sample in self.samples)
        if given or "train" not in parts.values() or None in parts.values() or {s.label for s in self.samples} == tops:
            return self
        samples = [sample._replace(part=parts.get(sample.file.partition("/")[0])) for sample in self.samples]
        return Labelled(self._base, self._address, self.name, samples, self.rejected)


def find_columns(given: Iterable[str]) -> dict[str, str]:
    """Return, for each of `COLUMNS` that is among those `given`, the name that it has there.

    Raises:
        DataError: two names mean the same column.
    """
    found: dict[str, str] = {}
    for name in given:
        kind = next((kind for kind, names in COLUMNS.items() if name.strip().lower() in names), None)
        if kind in found:
            raise DataError(f"the columns {found[kind]} and {name} both stand for the {kind}; rename one")
        if kind:
            found[kind] = name
    return found


def values_of(row: dict[str, Any], columns: dict[str, str]) -> Values:
    """Return label, group and part of a row; None for an empty value, or where there is no such column.

    Args:
        row: values by column.
        columns: see `find_columns`.

    Raises:
        DataError: a value can't be used.
    """
    given = {kind: row.get(name) for kind, name in columns.items()}
    return as_label(given.get("label")), as_label(given.get("group"), "group"), _as_part(given.get("part"))


def as_label(value: Any, what: str = "label") -> str | None:
    """Return a table's or a JSON file's value as text, in NFC; None for an empty one.

    Raises:
        DataError: it is no text and no whole number, or can't be the name of a class.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise DataError(f"the {what} is {str(value)[:40]!r}; it must be a text or a whole number")
    text = class_of(str(value).strip())
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise DataError(f"the {what} {as_text(text[:40])} isn't UTF-8; save the file as UTF-8")
    if not text.isprintable() or len(text) > _LONGEST_LABEL:
        raise DataError(
            f"the {what} {text[:40]!r} can't be a name: it has over {_LONGEST_LABEL} characters or a control character"
        )
    return text or None


def _as_part(value: Any) -> str | None:
    text = as_label(value, "part")
    if text is not None and part_of(text) is None:
        raise DataError(f"the part is {text!r}, not one of {some(['train', 'validation', 'test'])}")
    return part_of(text) if text else None
