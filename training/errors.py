"""What can go wrong that the user can put right. Each message is one line: what, where, what to do."""

from __future__ import annotations

from typing import ClassVar


class TrainingError(Exception):
    """The root of the tree; `exit_code` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class UsageError(TrainingError):
    """An option, or a value in a configuration file, that makes no sense."""

    exit_code = 2


class DataError(TrainingError):
    """A folder of images that can't be trained on."""


class ModelError(TrainingError):
    """A stored model, or a run to resume, that is missing or broken."""


class BelowMinimumAccuracy(TrainingError):
    """The model was trained and evaluated, but is too bad to be published."""

    exit_code = 3


class WorkersLost(TrainingError):
    """Another worker of this run is gone, or all were stopped from outside: start all of them again."""

    exit_code = 75


class WorkersApart(TrainingError):
    """The workers of this run never met."""

    exit_code = 69


class Interrupted(TrainingError):
    """Ctrl-C before there was anything to keep, or a second Ctrl-C."""

    exit_code = 130
