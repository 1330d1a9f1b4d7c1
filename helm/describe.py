"""Write what values.yaml says about itself: values.schema.json, and the table of values in the chart's README.

A comment above a key is its description; a line of it that begins with @schema is JSON Schema, and goes before what the
default's type tells. Keys under a map are described one by one if the first of them has a comment.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "image-classifier"
START, END = "<!-- values: written by helm/describe.py -->\n", "<!-- end of values -->\n"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


@dataclass
class Value:
    """A key of values.yaml; `children` are the keys below it that have descriptions of their own."""

    path: tuple[str, ...]
    default: Any
    description: str
    schema: dict[str, Any]
    children: list[Value] = field(default_factory=list)


def read(text: str) -> list[Value]:
    """Return the top-level keys of a commented values.yaml."""
    return _keys(yaml.compose(text, yaml.SafeLoader), text.splitlines(), ())


def leaves(values: list[Value]) -> list[Value]:
    """Return the keys that have no described keys below them, in the file's order."""
    return [leaf for value in values for leaf in (leaves(value.children) if value.children else [value])]


def schema(values: list[Value]) -> dict[str, Any]:
    """Return the JSON Schema of a whole values file. Draft 7 is what every Helm 3 and 4 can read."""
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of image-classifier"}
    return head | _object(values)


def table(values: list[Value]) -> str:
    """Return the Markdown table of all leaves."""
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for leaf in leaves(values):
        allowed = "".join(f" `{choice}`" for choice in leaf.schema.get("enum", []) if choice != "")
        default = json.dumps(leaf.default) if leaf.default not in ("", [], {}) else ""
        if isinstance(leaf.default, (dict, list)) and default:
            default = "see values.yaml"
        rows.append(
            f"| `{'.'.join(leaf.path)}` | {f'`{default}`' if default else ''} | {leaf.description}"
            f"{f' One of{allowed}.' if allowed else ''} |"
        )
    return "\n".join(rows) + "\n"


def _keys(node: yaml.Node | None, lines: list[str], path: tuple[str, ...]) -> list[Value]:
    assert isinstance(node, yaml.MappingNode)
    values = []
    for key, content in node.value:
        description, extra = _comment(lines, key.start_mark.line)
        value = Value((*path, key.value), yaml.safe_load(yaml.serialize(content)), description, extra)
        if isinstance(content, yaml.MappingNode) and content.value:
            first = content.value[0][0].start_mark.line
            if first > key.start_mark.line and _comment(lines, first)[0]:
                value.children = _keys(content, lines, value.path)
        values.append(value)
    return values


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, Any]]:
    """Return the description and the schema in the comment that ends above `line`."""
    words: list[str] = []
    extra: dict[str, Any] = {}
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        text = lines[line].lstrip().removeprefix("#").strip()
        if text.startswith("@schema"):
            extra = json.loads(text.removeprefix("@schema")) | extra
        else:
            words.insert(0, text)
    return " ".join(words), extra


def _object(values: list[Value]) -> dict[str, Any]:
    properties = {value.path[-1]: _schema(value) for value in values}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _schema(value: Value) -> dict[str, Any]:
    described: dict[str, Any] = {"description": value.description}
    if value.children:
        return described | _object(value.children) | value.schema
    return described | {"type": _TYPES[type(value.default)], "default": value.default} | value.schema


def _text(content: dict[str, Any], indent: str = "") -> str:
    """Return JSON with a line for each key's schema, so that people can read and compare it."""
    if "properties" not in content or not content["properties"]:
        return json.dumps(content, ensure_ascii=False)
    inner = indent + "  "
    lines = [f"{inner}{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items() if key != "properties"]
    keys = [f"{inner}  {json.dumps(key)}: {_text(value, inner + '  ')}" for key, value in content["properties"].items()]
    lines.append(f'{inner}"properties": {{\n' + ",\n".join(keys) + f"\n{inner}}}")
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def write(chart: Path = CHART) -> list[Path]:
    """Bring both files up to date, and return those that weren't."""
    values = read((chart / "values.yaml").read_text(encoding="utf-8"))
    readme = (chart / "README.md").read_text(encoding="utf-8")
    before, rest = readme.split(START)
    wanted = {
        chart / "values.schema.json": _text(schema(values)) + "\n",
        chart / "README.md": f"{before}{START}\n{table(values)}\n{END}{rest.split(END)[1]}",
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    return stale


if __name__ == "__main__":
    for changed in write():
        sys.stdout.write(f"wrote {changed}\n")
