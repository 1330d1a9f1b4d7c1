"""Accuracy and confidence of a model on its images, as types: sections of metrics.json."""

from __future__ import annotations

from dataclasses import dataclass

from training.report.section import Section


@dataclass(frozen=True)
class Averages(Section):
    """A figure averaged over the classes that have test images; null where it is defined for none."""

    macro: float | None
    """Mean over the classes."""
    weighted: float | None
    """Mean over the classes, each weighted by its number of test images."""


@dataclass(frozen=True)
class ClassFigures(Section):
    """The figures of one class; null where they are undefined, as without test images of the class."""

    precision: float | None
    """Fraction of the images predicted as this class that are of it; 0 if the class is never predicted."""
    recall: float | None
    """Fraction of the images of this class that are predicted as it."""
    f1: float | None
    """Harmonic mean of precision and recall."""
    auc: float | None
    """Area under the ROC curve, this class against the rest."""
    images: int
    """Number of test images."""


@dataclass(frozen=True)
class Evaluation(Section):
    """The figures on the test images."""

    accuracy: float
    """Fraction of the test images whose most probable class is right."""
    precision: Averages
    recall: Averages
    f1: Averages
    auc: Averages
    ece: float
    """Expected calibration error over 15 bins of equal width."""
    log_loss: float
    """Mean negative log-likelihood, in nats."""
    images: int
    """Number of test images."""
    per_class: dict[str, ClassFigures]
    """By class, in label order."""
    confusion_matrix: list[list[int]]
    """Number of test images by true class (rows) and predicted class (columns), both in label order."""


@dataclass(frozen=True)
class Balanced(Section):
    """How good the answers are over all images, and over all classes alike."""

    accuracy: float
    macro_f1: float


@dataclass(frozen=True)
class Adjustment(Section):
    """Logit adjustment: how far class sizes were taken out of the scores, and what it did on the validation images."""

    strength: float
    """The scores lose this times the logarithm of their class's frequency; 0 if they are left as they are."""
    reason: str | None
    """Why they are left as they are; null if they are not."""
    before: Balanced | None = None
    """Missing if it was not tried."""
    after: Balanced | None = None


@dataclass(frozen=True)
class CalibrationFigures(Section):
    """How far confidence is from accuracy on the test images."""

    ece: float
    """Expected calibration error."""
    log_loss: float
    """Mean negative log-likelihood, in nats."""


@dataclass(frozen=True)
class Calibration(Section):
    """Temperature scaling, and what it did on the test images."""

    temperature: float
    """The scores are divided by it before the softmax; 1 if the model is not calibrated."""
    reason: str | None
    """Why the model is not calibrated; null if it is."""
    before: CalibrationFigures
    after: CalibrationFigures


@dataclass(frozen=True)
class Validation(Section):
    """The kept weights on the validation images, before calibration."""

    loss: float
    """With L2 penalty and label smoothing, as trained."""
    accuracy: float


@dataclass(frozen=True)
class SetFigures(Section):
    """Sets of classes that were promised to hold the true one, on the test images."""

    promised: float
    """Fraction of images whose set should hold the true class."""
    seen: float
    """Fraction of the test images whose set holds it."""
    classes: float
    """Mean number of classes in a set."""
    single: float
    """Fraction of the test images whose set is one class."""


@dataclass(frozen=True)
class Separation(Section):
    """How well novelty separates the test images from images made to be unknown."""

    shuffled_pixels: float
    """Area under the ROC curve against the same images with their pixels in random order."""
    shuffled_tiles: float
    """Area under the ROC curve against the same images cut into 4 x 4 tiles in random order."""


@dataclass(frozen=True)
class Limits(Section):
    """What novelty and sets of classes do on 2,000 test images at most, in the form that is served by default."""

    reason: str | None
    """Why there are neither; null if there are."""
    images: int
    """Number of held-out images that they were measured on."""
    unknown: float | None
    """Fraction of the test images that are called unknown, 0.01 at most if they are like the held-out ones."""
    separation: Separation | None
    sets: list[SetFigures]
