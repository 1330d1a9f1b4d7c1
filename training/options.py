"""The ways to say a `Config`: command line and TOML file. Both are made from the dataclass's own fields."""

from __future__ import annotations

import argparse
import tomllib
import typing
from dataclasses import MISSING, Field, asdict, fields
from pathlib import Path
from typing import Any

import tomli_w

from training.config import Config, flag
from training.errors import UsageError
from training.recipes import RECIPES

_TYPES: dict[str, type] = {
    name: next(part for part in (typing.get_args(hint) or (hint,)) if part is not type(None))
    for name, hint in typing.get_type_hints(Config).items()
}


def add_arguments(parser: argparse.ArgumentParser, only: tuple[str, ...] | None = None) -> None:
    """Give `parser` one option a field (or those in `only`), grouped as the fields are."""
    groups: dict[str, Any] = {}
    for f in fields(Config):
        if only is not None and f.name not in only:
            continue
        group = groups.setdefault(f.metadata["group"], None)
        if group is None:
            group = groups[f.metadata["group"]] = parser.add_argument_group(f.metadata["group"])
        _add_argument(group, f)


def _add_argument(group: Any, f: Field[Any]) -> None:
    kind = _TYPES[f.name]
    help_ = f.metadata["help"]
    if f.default not in (None, "", MISSING) and kind is not bool:
        help_ = f"{help_} ({f.default})".strip()
    settings: dict[str, Any] = {"default": argparse.SUPPRESS, "help": help_.replace("%", "%%")}
    if kind is bool:
        # Both ways for all: a recipe or a file may switch on what is off by default.
        group.add_argument(flag(f.name), action=argparse.BooleanOptionalAction, **settings)
        return
    metavar = {str: "NAME", int: "N", float: "X"}[kind]
    if f.name in ("data", "test_data", "out", "cache_dir"):
        metavar = "DIR"
    if f.name == "exclude":
        metavar = "LIST"
    if f.metadata["choices"]:
        metavar = "{" + ",".join(f.metadata["choices"]) + "}"
    group.add_argument(flag(f.name), type=kind, metavar=metavar, **settings)


def merge(given: dict[str, Any], config_file: Path | None) -> Config:
    """Build the configuration: defaults, then the recipe's, then the file's values, then what the command line gave.

    Raises:
        UsageError: an unknown name, a value of the wrong type or out of bounds, an unreadable file.
    """
    values = read(config_file) if config_file is not None else {}
    values |= given
    return Config(**RECIPES.get(values.get("recipe", ""), {}) | values)


def read(path: Path) -> dict[str, Any]:
    """Read a TOML file of options, spelled like the fields; types are checked, bounds are not."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: {error}") from error
    for name, value in values.items():
        if name not in _TYPES:
            raise UsageError(f"--config {path}: there is no option {name!r}")
        kind = _TYPES[name]
        if kind is float and type(value) is int:
            values[name] = float(value)
        elif type(value) is not kind:
            raise UsageError(f"--config {path}: {name} must be of type {kind.__name__}, not {value!r}")
    return values


def write(config: Config, path: Path) -> None:
    """Write `config` the way `read` takes it; what is None (left to the data) is left out."""
    # Another worker may look at any moment.
    aside = path.with_suffix(".new")
    aside.write_text(tomli_w.dumps({k: v for k, v in asdict(config).items() if v is not None}), encoding="utf-8")
    aside.replace(path)
