"""The content of study.json as types: what a search for options has found."""

from __future__ import annotations

from dataclasses import dataclass

from training.report.document import Environment, Option
from training.report.section import Section


@dataclass(frozen=True)
class Trial(Section):
    """One configuration that was tried. A figure is null until the trial is complete or pruned."""

    number: int
    state: str
    """`complete`, `pruned`, `failed` or `running`."""
    baseline: bool
    """Whether this is the default configuration."""
    val_loss: float | None
    """Cross-entropy on the validation images, of the best epoch; null unless the trial is complete."""
    params: dict[str, Option]
    """The options searched, with their values."""
    error: str | None
    """Why the trial failed."""
    epochs: int | None
    """Number of epochs completed."""
    best_epoch: int | None
    """Counted from 1."""
    val_accuracy: float | None
    """Of the best epoch."""
    parameters: int | None
    """Number of parameters of the network."""
    seconds: float | None
    """Time of the trial."""


@dataclass(frozen=True)
class Course(Section):
    """How far a search is."""

    name: str
    search: str
    """`random`, `tpe`, `hyperband` or `grid`."""
    storage: str
    """Where the trials are kept, without a password."""
    wanted: int
    """Number of trials to be done, with the default configuration."""
    finished: int
    seconds: float
    """Time of all trials together."""
    epochs: int | None
    """Most epochs of a trial."""


@dataclass(frozen=True)
class SearchedData(Section):
    """The images of a search, without the test part."""

    name: str
    fingerprint: str
    """SHA-256 of the images and classes of each part."""
    classes: int
    images: dict[str, int]
    """Number of images by part."""


@dataclass(frozen=True)
class Choices(Section):
    """An option that takes one of some values."""

    choices: list[Option]


@dataclass(frozen=True)
class Range(Section):
    """An option that takes a number from `low` to `high`."""

    low: float
    high: float
    log: bool
    """Whether the search is even in the logarithm of the value."""
    steps: int | None
    """Number of values that a grid tries; null where a grid tries every whole number."""


@dataclass(frozen=True)
class Comparison(Section):
    """The best trial against the default configuration."""

    better: bool | None
    """Null if there is nothing to compare."""
    text: str
    """The same in words."""


@dataclass(frozen=True)
class Retrained(Section):
    """The best configuration, trained on train and validation images."""

    tag: str | None
    """Tag in the model store; null if it is not published."""
    report: str
    """Path of its report, below the folder of the search."""
    accuracy: float
    """On the test images."""
    images: int
    """Number of test images."""


@dataclass(frozen=True)
class StudyReport(Section):
    """What a search has found: the content of study.json."""

    study: Course
    data: SearchedData
    space: dict[str, Choices | Range]
    """What is searched, by option."""
    default: dict[str, Option]
    """The default configuration's values of these options; empty if the space does not have them."""
    trials: list[Trial]
    baseline: int | None
    """Number of the trial with the default configuration."""
    best: int | None
    """Number of the trial with the lowest validation loss."""
    comparison: Comparison
    importances: dict[str, float]
    """Fraction of each option in the differences between trials; empty where there are too few."""
    retrained: Retrained | None
    environment: Environment
