"""The JSON Schema of metrics.json. `python -m training.report.schema` writes it to docs/metrics.schema.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from training.report.document import Report

PUBLISHED = Path("docs/metrics.schema.json")
_ABOUT = {
    "$schema": GenerateJsonSchema.schema_dialect,
    "title": "metrics.json",
    "description": "What a training, or an evaluation of a stored model, found.",
}


class _WithoutTitles(GenerateJsonSchema):
    """Leave out the titles of fields: they would only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema() -> dict[str, Any]:
    """Return the schema (JSON Schema, draft 2020-12), made from the report's dataclasses."""
    return _ABOUT | TypeAdapter(Report).json_schema(schema_generator=_WithoutTitles)


def text() -> str:
    """Return the content of docs/metrics.schema.json."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    PUBLISHED.write_text(text(), encoding="utf-8")
