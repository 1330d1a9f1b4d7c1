"""The base of every part of metrics.json, check.json and study.json: to JSON and from JSON."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import ConfigDict, TypeAdapter


class Section:
    """A frozen dataclass that stands for one object of a JSON document.

    A field without a default is always in the JSON, as null where it is None. A field whose default is None is left
    out of the JSON where it is None. The docstrings of classes and fields are the descriptions in the JSON Schema.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(use_attribute_docstrings=True)

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, texts, lists and dicts, in the order of the fields."""
        document: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, by_alias=True, exclude_defaults=True)
        return document

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Return the object that `to_json` was given.

        Raises:
            pydantic.ValidationError: a field is missing or of another type. It is a `ValueError`.
        """
        section: Self = TypeAdapter(cls).validate_python(document)
        return section
