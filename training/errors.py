"""Define the errors of training that the user can fix. Each message is one line: what is wrong, where, what to do."""

from __future__ import annotations

from commandline import CommandError, ExitCode


class TrainingError(CommandError):
    """The root of the errors of training."""


class UsageError(TrainingError):
    """An option, or a value in a configuration file, is invalid."""

    exit_code = ExitCode.USAGE


class DataError(TrainingError):
    """A folder of images can't be trained on."""


class ModelError(TrainingError):
    """A stored model, or a run to resume, is missing or damaged."""


class BelowMinimumAccuracy(TrainingError):
    """The model was trained and evaluated, but its test accuracy is too low to publish it."""

    exit_code = ExitCode.REFUSED


class WorkersLost(TrainingError):
    """Another worker of this training has stopped, or all were stopped from outside. Restart all of them."""

    exit_code = ExitCode.WORKERS_LOST


class WorkersApart(TrainingError):
    """The workers of this training couldn't connect to each other."""

    exit_code = ExitCode.WORKERS_APART


class Interrupted(TrainingError):
    """Ctrl-C was pressed before the first epoch was complete, or twice."""

    exit_code = ExitCode.INTERRUPTED
