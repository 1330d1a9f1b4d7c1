"""Read a `Config` from the command line and from TOML files. Both follow from the dataclass's fields."""

from __future__ import annotations

import argparse
import tomllib
import typing
from dataclasses import MISSING, Field, asdict, fields
from pathlib import Path
from typing import Any

import tomli_w

from training.config import NONE, Config, flag
from training.errors import UsageError
from training.recipes import RECIPES

_TYPES: dict[str, type] = {
    name: next(part for part in (typing.get_args(hint) or (hint,)) if part is not type(None))
    for name, hint in typing.get_type_hints(Config).items()
}


_NEW_NAMES: dict[str, str] = {f.metadata["also"]: f.name for f in fields(Config) if f.metadata["also"]}
"""Current names of options by their older names, which are still accepted."""

REMOVED = {"ensemble": 1, "ema": 0.0, "mixup": 0.0, "cutmix": 0.0}
"""Removed options, each with the value that switched it off: older runs and studies have them."""


def add_arguments(parser: argparse.ArgumentParser, only: tuple[str, ...] | None = None) -> None:
    """Add an option to `parser` for each field (or each in `only`), in the fields' groups."""
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
    if kind is bool:
        help_ = f"{help_} (default: {'on' if f.default else 'off'})"
    elif f.default not in (None, "", MISSING):
        help_ = f"{help_} (default: {f.default})"
    settings: dict[str, Any] = {"default": argparse.SUPPRESS, "help": help_.replace("%", "%%")}
    if kind is bool:
        # Each has a --no- form, because a recipe or a file may switch on what is off by default.
        group.add_argument(flag(f.name), action=argparse.BooleanOptionalAction, **settings)
        return
    metavar = {str: "NAME", int: "N", float: "X"}[kind]
    if f.name in ("data", "validation_data", "test_data", "images_root", "out", "cache_dir"):
        metavar = "DIR"
    metavar = {"exclude": "LIST", "group": "PATTERN", "weights_sha256": "HEX", "budget": "TIME"}.get(f.name, metavar)
    if f.metadata["choices"]:
        metavar = "{" + ",".join(f.metadata["choices"]) + "}"
    flags = [flag(name) for name in (f.name, f.metadata["also"]) if name]
    group.add_argument(*flags, type=kind, metavar=metavar, **settings)


def merge(given: dict[str, Any], config_file: Path | None) -> Config:
    """Build the configuration from the defaults, the recipe, the file and the command line; later ones take precedence.

    Raises:
        UsageError: an option is unknown, a value has the wrong type or is out of bounds, or the file can't be read.
    """
    values = read(config_file) if config_file is not None else {}
    values |= given
    return Config(**RECIPES.get(values.get("recipe", ""), {}) | values)


def of_run(path: Path) -> Config:
    """Return the options that `write` wrote for a run. A file from before networks were compared names no backbone.

    Raises:
        UsageError: see `read`.
    """
    return Config(**{"backbone": NONE} | read(path))


def read(path: Path) -> dict[str, Any]:
    """Read a TOML file of options, named like the fields. Types are checked, bounds aren't.

    Raises:
        UsageError: an option is unknown, a value has the wrong type, or the file can't be read.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: {error}") from error
    values = {_NEW_NAMES.get(name, name): value for name, value in values.items() if REMOVED.get(name) != value}
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
    """Write `config` as a file for `read`, without the options that are None."""
    # Another worker may read the file at any moment.
    aside = path.with_suffix(".new")
    aside.write_text(tomli_w.dumps({k: v for k, v in asdict(config).items() if v is not None}), encoding="utf-8")
    aside.replace(path)
