"""Read the options that a search varies, and their ranges, from a TOML file; check them against the options' bounds."""

from __future__ import annotations

import itertools
import math
import tomllib
import typing
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.config import Config
from training.errors import UsageError
from training.recipes import RATES

if TYPE_CHECKING:
    from optuna import Trial

DEFAULT = Path(__file__).with_name("space.toml")
MOST_COMBINATIONS = 10_000

_GROUPS = ("augmentation", "network", "training")
# Trials of different length or with different random numbers can't be compared.
_FIXED = ("epochs", "seed", "refit")
_KEYS = {"low", "high", "log", "steps", "choices"}


@dataclass(frozen=True)
class Dimension:
    """One option: some choices, or a range from `low` to `high`, from which a grid takes `steps` values."""

    kind: type
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    steps: int | None = None

    def suggest(self, trial: Trial, name: str) -> Any:
        """Return the value that Optuna chooses."""
        if self.choices:
            return trial.suggest_categorical(name, self.choices)
        if self.kind is int:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def contains(self, value: Any) -> bool:
        """Whether a search could choose `value`."""
        if self.choices:
            return value in self.choices
        return value is not None and self.low <= value <= self.high

    def values(self) -> list[Any]:
        """Return the values that a grid tries; empty if their number has no bound."""
        if self.choices:
            return list(self.choices)
        if self.steps is None:
            return list(range(int(self.low), int(self.high) + 1)) if self.kind is int else []
        shares = [step / (self.steps - 1) for step in range(self.steps)]
        if self.log:
            between = [self.low * (self.high / self.low) ** share for share in shares]
        else:
            between = [self.low + (self.high - self.low) * share for share in shares]
        # Rounding must not lead out of the range.
        kept = [min(max(value, self.low), self.high) for value in between]
        return sorted({round(value) for value in kept}) if self.kind is int else kept


@dataclass(frozen=True)
class Space:
    """The options to search, by name."""

    dimensions: dict[str, Dimension]

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Return a value for each option."""
        return {name: dimension.suggest(trial, name) for name, dimension in self.dimensions.items()}

    def without(self, fixed: Collection[str]) -> Space:
        """Return the space without the options in `fixed`.

        Raises:
            UsageError: no option is left.
        """
        left = {name: dimension for name, dimension in self.dimensions.items() if name not in fixed}
        if not left:
            raise UsageError(
                "the command line fixes every option of the space, so nothing is left to search; give fewer options"
            )
        return Space(left)

    def values_of(self, config: Config) -> dict[str, Any] | None:
        """Return the value of each option in `config`; None if one lies outside the space."""
        given = {name: getattr(config, name) for name in self.dimensions}
        given |= {name: float(config.augmentation[name]) for name in RATES if name in given}
        if "learning_rate" in given:
            given["learning_rate"] = config.peak_learning_rate
        inside = all(dimension.contains(given[name]) for name, dimension in self.dimensions.items())
        return given if inside else None

    def grid(self) -> list[dict[str, Any]]:
        """Return every combination.

        Raises:
            UsageError: a range has no `steps`, or there are more than `MOST_COMBINATIONS`.
        """
        axes = {name: dimension.values() for name, dimension in self.dimensions.items()}
        endless = [name for name, values in axes.items() if not values]
        if endless:
            raise UsageError(f"--search grid: {', '.join(endless)}: add steps = N to the range, or give choices")
        count = math.prod(len(values) for values in axes.values())
        if count > MOST_COMBINATIONS:
            raise UsageError(f"--search grid: {count:,} combinations; at most {MOST_COMBINATIONS:,} are allowed")
        return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]

    def document(self) -> dict[str, dict[str, Any]]:
        """Return the space as JSON values, which are equal for equal spaces."""
        return {
            name: {"choices": list(one.choices)}
            if one.choices
            else {"low": one.low, "high": one.high, "log": one.log, "steps": one.steps}
            for name, one in self.dimensions.items()
        }


def read(path: Path) -> Space:
    """Read a space.

    Raises:
        UsageError: the file is missing or is no TOML, an option does not exist or can't be searched, or it doesn't
            take the range or a choice.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--space {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--space {path}: {error}") from error
    if not tables:
        raise UsageError(f"--space {path}: the file names no option to search")
    dimensions = {}
    for name, table in tables.items():
        try:
            dimensions[name] = _dimension(name, table)
        except UsageError as error:
            raise UsageError(f"--space {path}: {name}: {error}") from error
    return Space(dimensions)


def _dimension(name: str, table: Any) -> Dimension:
    groups = {f.name: f.metadata["group"] for f in fields(Config)}
    if name not in groups:
        raise UsageError("there is no such option")
    if groups[name] not in _GROUPS or name in _FIXED:
        raise UsageError("this option can't be searched")
    if not isinstance(table, dict):
        raise UsageError("write { low = A, high = B } or { choices = [...] }")
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise UsageError(f"there is no {unknown[0]!r}; a range takes low, high, log and steps, a list takes choices")
    hint = typing.get_type_hints(Config)[name]
    kind = next(part for part in (typing.get_args(hint) or (hint,)) if part is not type(None))
    if "choices" in table:
        return _choices(name, kind, table)
    return _range(name, kind, table)


def _choices(name: str, kind: type, table: dict[str, Any]) -> Dimension:
    if set(table) != {"choices"}:
        raise UsageError("choices can't be combined with low, high, log or steps")
    given = table["choices"]
    if not isinstance(given, list) or not given:
        raise UsageError("choices must be a list of values")
    values = [_value(name, kind, value) for value in given]
    if len(set(values)) < len(values):
        raise UsageError("a choice is repeated")
    return Dimension(kind, choices=tuple(values))


def _range(name: str, kind: type, table: dict[str, Any]) -> Dimension:
    if kind not in (int, float):
        raise UsageError("takes choices = [...], not a range")
    if not {"low", "high"} <= set(table):
        raise UsageError("a range needs low and high")
    low, high = (_value(name, kind, table[end]) for end in ("low", "high"))
    log, steps = table.get("log", False), table.get("steps")
    if not low < high:
        raise UsageError(f"low is {low} and high is {high}; low must be less than high")
    if not isinstance(log, bool):
        raise UsageError(f"log is {log!r}; it must be true or false")
    if log and not low > 0:
        raise UsageError("log = true needs a low above 0")
    if steps is not None and (type(steps) is not int or not 2 <= steps <= MOST_COMBINATIONS):
        raise UsageError(f"steps is {steps!r}; it must be a whole number from 2 to {MOST_COMBINATIONS}")
    return Dimension(kind, (), low, high, log, steps)


def _value(name: str, kind: type, value: Any) -> Any:
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise UsageError(f"{value!r} must be of type {kind.__name__}")
    given: dict[str, Any] = {name: value}
    Config(**given)  # checks the option's own bounds
    return value
