"""What the data checks found, as types: the section `checks` of metrics.json, and check.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from training.report.section import Section


@dataclass(frozen=True)
class Sample(Section):
    """One checked image."""

    file: Annotated[str, Field(description="Path below the folder that the image was read from.")]
    part: Annotated[str, Field(description="train, validation or test; data or test-data in check.json.")]
    class_: Annotated[str, Field(alias="class", description="The class that the image is labelled with.")]


@dataclass(frozen=True)
class DuplicateGroup(Section):
    """Files that show the same image."""

    files: list[Sample]
    """At least two."""
    equal: bool
    """Whether the decoded images are equal; otherwise some were saved in another size, format or quality."""
    across_parts: bool
    """Whether the files are in several parts of the data."""
    several_labels: bool
    """Whether the files are in several classes."""


@dataclass(frozen=True)
class Duplicates(Section):
    """Images that the data holds more than once."""

    exact: int
    """Files that equal another one once decoded, without the first of each."""
    near: int
    """Further versions of an image: saved in another size, format or quality."""
    groups: int
    """Number of groups of duplicates."""
    across_parts: int
    """Groups with files in several parts."""
    several_labels: int
    """Groups with files in several classes."""
    ended_early: bool
    """Whether the search for near copies stopped because nearly all images look alike."""
    listed: list[DuplicateGroup]
    """At most 1,000 groups: those with several labels first, then those across parts."""


@dataclass(frozen=True)
class Outlier(Sample):
    """An image unlike the rest of its class."""

    one_colour: bool
    """Whether the image shows one colour only."""
    score: float
    """Robust standard deviations above the class's usual distance."""


@dataclass(frozen=True)
class Outliers(Section):
    """Images unlike the rest of their class, by colours and coarse shape."""

    far: int
    """Images that lie far from their class."""
    one_colour: int
    """Images that show one colour only."""
    too_small: list[str]
    """Classes with too few images to say what is usual."""
    listed: list[Outlier]
    """At most 500 images, the farthest first, those of one colour last."""


@dataclass(frozen=True)
class Telling(Section):
    """A property of files that predicts the class far better than guessing."""

    by: str
    """The property, such as `format` or `prefix`."""
    right: float
    """Fraction of the images whose class the property predicts."""
    guessing: float
    """Fraction of the images in the largest class."""


@dataclass(frozen=True)
class NamedFile(Sample):
    """A file whose name contains the name of another class."""

    named: str
    """The other class."""


@dataclass(frozen=True)
class Names(Section):
    """What file names say about classes."""

    own_class: int
    """Files whose name contains their own class's name."""
    other_class: int
    """Files whose name contains another class's name."""
    telling: list[Telling]
    """Properties of file names that predict the class."""
    listed: list[NamedFile]
    """At most 500 files that are named after another class."""


@dataclass(frozen=True)
class Spread(Section):
    """The range of a quantity."""

    least: float
    """Minimum."""
    median: float
    """Median."""
    most: float
    """Maximum."""


@dataclass(frozen=True)
class ClassSizes(Section):
    """The files of one class."""

    images: int
    """Number of images."""
    width: float | None
    """Median, in pixels; null where no header was read."""
    height: float | None
    """Median, in pixels; null where no header was read."""
    bytes: float | None
    """Median size of the files, in bytes; null without images."""


@dataclass(frozen=True)
class Sizes(Section):
    """Files and images as they were before decoding."""

    sampled: int
    """Number of files whose header was read, at most 2,000."""
    width: Spread | None
    """In pixels; null where no header was read."""
    height: Spread | None
    """In pixels; null where no header was read."""
    bytes: Spread | None
    """Size of the files, in bytes."""
    formats: dict[str, int]
    """Sampled files by image format."""
    modes: dict[str, int]
    """Sampled files by colour mode, in Pillow's names."""
    enlarged: float
    """Fraction of the sampled images that are smaller than the network's input."""
    classes: dict[str, ClassSizes]
    """By class."""
    telling: list[Telling]
    """Properties of files that predict the class."""


@dataclass(frozen=True)
class SkippedLabels(Section):
    """Labels were not checked."""

    skipped: str
    """The reason."""


@dataclass(frozen=True)
class DoubtfulLabel(Sample):
    """An image whose label seems wrong."""

    suggested: str
    """The class that networks say, which had not seen the image."""
    confidence: float
    """Their probability for the suggested class."""
    self_confidence: float
    """Their probability for the label."""


@dataclass(frozen=True)
class Labels(Section):
    """Labels that predictions of networks contradict, which had not seen the images."""

    images: int
    """Number of images that took part."""
    accuracy: float
    """Accuracy of these networks on images that they had not seen."""
    noise: float
    """Estimated fraction of wrong labels."""
    suspects: int
    """Number of labels that seem wrong."""
    too_small: list[str]
    """Classes with too few images to take part."""
    listed: list[DoubtfulLabel]
    """At most 1,000 images, the likeliest wrong labels first."""


@dataclass(frozen=True)
class Checks(Section):
    """What the data checks found."""

    images: int
    """Number of images checked."""
    seconds: dict[str, float]
    """Time of each check, in seconds."""
    duplicates: Duplicates
    outliers: Outliers
    names: Names
    sizes: Sizes
    labels: SkippedLabels | Labels
    suspects: int
    """Number of suspicious files: those that `check --fix` lists."""


@dataclass(frozen=True)
class RejectedFile(Section):
    """A file that could not be used."""

    file: str
    """Path below the folder."""
    code: str
    """The kind of the problem, such as `corrupt_image`."""
    reason: str
    """The problem in words."""


@dataclass(frozen=True)
class CheckedData(Section):
    """The data that `python -m training check` read."""

    name: str
    """Name of the folder or of the built-in data set."""
    classes: list[str]
    """Class names in label order."""
    rejected: list[RejectedFile]
    """Files that could not be used."""


@dataclass(frozen=True)
class CheckReport(Section):
    """The content of check.json."""

    data: CheckedData
    checks: Checks
