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


class StoreError(TrainingError):
    """The model store can't take a model."""


class FolderInUse(TrainingError):
    """Another process uses the folder for the results."""

    exit_code = ExitCode.BUSY


class Diverged(TrainingError):
    """The loss or the network's answers are not finite any more, or long worse than a guess.

    Args:
        what: what is wrong, and when.
        rate: the peak learning rate.
    """

    def __init__(self, what: str, rate: float) -> None:
        super().__init__(f"the training diverged: {what}; give a --learning-rate below {rate:g}")


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
    """The run was stopped before the first epoch was complete, after training, or twice."""

    exit_code = ExitCode.INTERRUPTED


def of_system(error: OSError) -> TrainingError:
    """Return an error of the operating system, such as a full disk, as one line."""
    # Every problem with the images is a DataError by now. What is left is a full disk or a folder without write access.
    where = error.filename or "the run's folder, the model store or the temporary folder"
    return TrainingError(f"{where}: {error.strerror or error}")


def one_line(error: Exception, most: int = 200) -> str:
    """Return a library's error as one line of at most `most` characters, or its type if it has no text."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= most else text[: most - 1] + "…"
