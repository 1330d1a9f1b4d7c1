"""Write values.schema.json and the table of values in the chart's README from the comments in values.yaml.

The comment above a key is its description. A comment line that begins with @schema holds JSON Schema and overrides the
type of the default. The keys of a map are described one by one if the first of them has a comment.
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
_SHARED = ("image", "model")
"""Top-level maps that others refer to as #/definitions/NAME."""
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


@dataclass
class Value:
    """A key of values.yaml. `children` holds the keys below it that have their own descriptions."""

    path: tuple[str, ...]
    default: Any
    description: str
    schema: dict[str, Any]
    children: list[Value] = field(default_factory=list)


def read(text: str) -> list[Value]:
    """Return the top-level keys of a commented values.yaml."""
    return _keys(yaml.compose(text, yaml.SafeLoader), text.splitlines(), ())


def leaves(values: list[Value]) -> list[Value]:
    """Return the keys without described keys below them, in the order of the file."""
    return [leaf for value in values for leaf in (leaves(value.children) if value.children else [value])]


def schema(values: list[Value]) -> dict[str, Any]:
    """Return the JSON Schema of a whole values file, in draft 7, which every Helm 3 and 4 can read."""
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of image-classifier"}
    # A canary's image or model may leave out keys, so the definitions require none.
    shared = {value.path[-1]: _object(value.children, whole=False) for value in values if value.path[-1] in _SHARED}
    return head | ({"definitions": shared} if shared else {}) | _object(values)


def table(values: list[Value]) -> str:
    """Return the Markdown table of all leaves, with a row above the leaves of each top-level map."""
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for value in values:
        if value.children:
            rows.append(f"| **`{value.path[0]}`** |  | {value.description} |")
        rows += map(_row, leaves([value]))
    return "\n".join(rows) + "\n"


def _row(leaf: Value) -> str:
    choices = ", ".join(f"`{choice}`" for choice in leaf.schema.get("enum", []) if choice != "")
    allowed = f" Allowed: {choices}." if choices else ""
    default = f"`{json.dumps(leaf.default)}`" if leaf.default not in ("", [], {}) else ""
    if isinstance(leaf.default, (dict, list)) and default:
        default = "see values.yaml"
    return f"| `{'.'.join(leaf.path)}` | {default} | {leaf.description}{allowed} |"


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


def _object(values: list[Value], *, whole: bool = True) -> dict[str, Any]:
    """Return the schema of a map. A `whole` one refuses null, which makes Helm remove the key that a template reads."""
    properties = {value.path[-1]: _schema(value, whole=whole) for value in values}
    required = {"required": list(properties)} if whole else {}
    return {"type": "object", "additionalProperties": False, **required, "properties": properties}


def _schema(value: Value, *, whole: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"description": value.description}
    if not value.children:
        return described | {"type": _TYPES[type(value.default)], "default": value.default} | value.schema
    # In structures of Kubernetes, null removes a default.
    whole = whole and "additionalProperties" not in value.schema
    return described | _object(value.children, whole=whole) | value.schema


def _text(content: dict[str, Any], indent: str = "") -> str:
    """Return JSON with one line per key, so that people can read and compare it."""
    maps = [key for key in ("definitions", "properties") if content.get(key)]
    if not maps:
        return json.dumps(content, ensure_ascii=False)
    inner = indent + "  "
    lines = [f"{inner}{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items() if key not in maps]
    for name in maps:
        keys = [f"{inner}  {json.dumps(key)}: {_text(value, inner + '  ')}" for key, value in content[name].items()]
        lines.append(f'{inner}"{name}": {{\n' + ",\n".join(keys) + f"\n{inner}}}")
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def write(chart: Path = CHART) -> list[Path]:
    """Update both files and return those that changed."""
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
