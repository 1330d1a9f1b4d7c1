"""The metadata of a stored model: what its outputs mean, and how it was trained.

BentoML keeps it as plain values in the entry. `Metadata.to_metadata` writes the present schema. Readers need no more
than the classes and the image size, so an entry that lacks the rest is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from model_format.errors import FormatError

SCHEMA = 2
"""The newest schema that this code knows. Raise it when an older reader would misunderstand a new entry.

A new field that older readers may ignore needs no new schema. 2: `resize`; an entry that stretches images is still
written as 1, because older readers stretch them all.
"""
Resize = Literal["stretch", "letterbox", "crop"]
RESIZES: tuple[Resize, ...] = ("stretch", "letterbox", "crop")


class TrainingData(TypedDict):
    """The images that the model was made of."""

    name: str
    images: int
    splits: dict[str, dict[str, int]]
    """Images per part and class."""
    fingerprint: str
    """SHA-256 of the parts, their images and labels."""


class Int8Verdict(TypedDict):
    """What the 8-bit form cost."""

    kept: bool
    accuracy: float
    """Fraction of the test part that the 8-bit form classifies correctly."""
    accuracy_fp32: float
    reason: str


class Recalibration(TypedDict):
    """Where an entry comes from whose temperature and limits were measured again, without training."""

    parent: str
    """Tag of the entry that it was made of."""
    data: str
    """Name of the images."""
    images: int
    fingerprint: str
    """SHA-256 of the images and their labels."""


@dataclass(frozen=True)
class Baseline:
    """What images and answers look like on images that were not trained on: drift is measured against it."""

    images: int
    """How many images the shares are of."""
    shares: dict[str, list[float]]
    """Share of the images in each bin: of "class", in label order, and of the features of `imaging.statistics`."""

    @classmethod
    def from_metadata(cls, stored: Any, tag: str) -> Baseline:
        """Return the baseline that an entry holds.

        Raises:
            FormatError: `stored` is no baseline.
        """
        try:
            shares = {name: [float(share) for share in bins] for name, bins in stored.items() if name != "images"}
            return cls(int(stored["images"]), shares)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{tag} has a drift baseline that can't be read; train the model again") from error

    def to_metadata(self) -> dict[str, Any]:
        """Return the baseline as plain values."""
        return {"images": self.images, **self.shares}


@dataclass(frozen=True)
class Metadata:
    """The metadata of one store entry. Only the first two fields are in every entry."""

    class_names: list[str]
    """In label order: the order of the model's outputs."""
    image_size: int
    """Pixels a side that the model takes."""
    image_policy: int | None = None
    """Version of the rules by which the images were decoded: `imaging.POLICY_VERSION` of the training."""
    resize: Resize = "stretch"
    """What happens to an image that is no square."""
    data: TrainingData | None = None
    temperature: float | None = None
    """What the scores were divided by to calibrate them; 1 leaves them as they were."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Results on the test part, as in the report's metrics.json."""
    config: dict[str, Any] = field(default_factory=dict)
    """Options of the training."""
    git_revision: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of Python and of the libraries that trained the model."""
    int8: Int8Verdict | None = None
    """None if no 8-bit form was made."""
    baseline: Baseline | None = None
    recalibration: Recalibration | None = None
    """None for an entry as it was trained."""

    @classmethod
    def from_metadata(cls, stored: Mapping[str, Any], tag: str) -> Metadata:
        """Return the metadata that BentoML stored, of the present schema or an older one.

        Args:
            stored: the plain values. Without "schema" they are taken for the first schema.
            tag: names the entry in error messages.

        Raises:
            FormatError: the entry is not of this project's training, or its schema is newer than this code.
        """
        schema = stored.get("schema", 1)
        if not isinstance(schema, int) or schema > SCHEMA:
            raise FormatError(
                f"{tag} was made by a newer version of this project: its metadata has schema {schema}, this version "
                f"reads up to {SCHEMA}; use the newer version, or train the model again with this one"
            )
        try:
            class_names, image_size = list(stored["class_names"]), int(stored["image_size"])
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"{tag} was not made by this project's training: its metadata names no classes or no image size"
            ) from error
        resize = next((each for each in RESIZES if each == stored.get("resize", "stretch")), None)
        if resize is None:
            raise FormatError(f"{tag} resizes images by {stored['resize']!r}, which isn't one of {', '.join(RESIZES)}")
        baseline = stored.get("baseline")
        return cls(
            class_names=class_names,
            image_size=image_size,
            resize=resize,
            image_policy=stored.get("image_policy"),
            data=stored.get("data"),
            temperature=stored.get("temperature"),
            metrics=stored.get("metrics") or {},
            config=stored.get("config") or {},
            git_revision=stored.get("git_revision"),
            versions=stored.get("versions") or {},
            int8=stored.get("int8") or None,
            baseline=None if baseline is None else Baseline.from_metadata(baseline, tag),
            recalibration=stored.get("recalibration"),
        )

    def to_metadata(self) -> dict[str, Any]:
        """Return the metadata as plain values, which BentoML stores."""
        resize = None if self.resize == "stretch" else self.resize
        plain: dict[str, Any] = _without_none(
            {
                "schema": SCHEMA if resize else 1,
                "class_names": self.class_names,
                "image_size": self.image_size,
                "resize": resize,
                "image_policy": self.image_policy,
                "data": self.data,
                "temperature": self.temperature,
                "metrics": self.metrics,
                "config": self.config,
                "git_revision": self.git_revision,
                "versions": self.versions,
                "int8": self.int8 or {},
                "baseline": self.baseline and self.baseline.to_metadata(),
                "recalibration": self.recalibration,
            }
        )
        return plain


def _without_none(value: Any) -> Any:
    """Leave out undefined values, such as the F1 of a class without test images: BentoML stores no None."""
    if isinstance(value, dict):
        return {name: _without_none(entry) for name, entry in value.items() if entry is not None}
    return value
