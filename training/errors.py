"""Errors that the user can fix. Each message is one line: what is wrong, where, what to do."""

from __future__ import annotations

from typing import ClassVar


class TrainingError(Exception):
    """The base class. The command line exits with `exit_code`."""

    exit_code: ClassVar[int] = 1


class UsageError(TrainingError):
    """An option, or a value in a configuration file, is invalid."""

    exit_code = 2


class DataError(TrainingError):
    """A folder of images can't be trained on."""


class ModelError(TrainingError):
    """A stored model or a run to resume is missing or damaged."""


class BelowMinimumAccuracy(TrainingError):
    """The trained model's test accuracy is too low to publish it."""

    exit_code = 3


class WorkersLost(TrainingError):
    """Another worker of this training has stopped, or all were stopped from outside. Restart all of them."""

    exit_code = 75


class WorkersApart(TrainingError):
    """The workers of this training couldn't connect to each other."""

    exit_code = 69


class Interrupted(TrainingError):
    """Ctrl-C was pressed before the first epoch was complete, or twice."""

    exit_code = 130
