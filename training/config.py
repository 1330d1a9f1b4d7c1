"""The options of one training run, checked and completed.

`fields` declares each option; `options` reads the command line and TOML.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import imaging
from training.errors import UsageError
from training.fields import AUTO, DATASETS, Fields
from training.recipes import PRESETS, RATES
from training.url import is_url, parse

NONE, IMAGENET = "none", "imagenet"
"""Values of `backbone` and `weights` that are no name."""

_TEXT_DATASETS = ("digits",)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smh])")
_MOST_TAKEN = 0.8
"""Fraction of the images that may be kept from training."""
# BentoML accepts these names. Checking here saves hours of training under a name that it refuses.
_STORE_NAME = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Config(Fields):
    """The options of one training run, checked. None leaves the value to `for_images`, the preset or another option."""

    def __post_init__(self) -> None:
        if self.image_size is None and self.backbone == NONE:
            object.__setattr__(self, "image_size", 32)
        for f in fields(self):
            _check(f.name, getattr(self, f.name), f.metadata)
        taken = 0.0 if self.validation_data else self.validation_fraction
        taken += 0.0 if self.test_data else self.test_fraction
        if taken > _MOST_TAKEN + 1e-9:
            raise UsageError(
                f"--validation-fraction {self.validation_fraction:g} and --test-fraction {self.test_fraction:g} leave "
                f"{1 - taken:.0%} of the images to train on; their sum must be at most {_MOST_TAKEN:g}"
            )
        if self.has_backbone and self.optimizer == "muon":
            raise UsageError("--optimizer muon is for networks without --backbone; use adamw")
        for name in ("data", "validation_data", "test_data", "images_root"):
            if is_url(getattr(self, name) or ""):
                parse(getattr(self, name), flag(name))
        try:
            re.compile(self.group or "")
        except re.error as error:
            raise UsageError(f"--group is {self.group!r}, which is no regular expression: {error}") from error
        if not _DURATION.fullmatch(self.budget):
            raise UsageError(f"--budget is {self.budget!r}; write a number and s, m or h, such as 90s, 10m or 2h")
        if not _STORE_NAME.fullmatch(self.name):
            raise UsageError(
                f"--name is {self.name!r}; it takes up to 63 of a-z, 0-9, '-', '_' and '.', and begins and ends with "
                "a letter or digit"
            )

    @property
    def squaring(self) -> imaging.Resize:
        """What happens to an image that is no square."""
        return imaging.STRETCH if self.resize == AUTO else cast(imaging.Resize, self.resize)

    @property
    def has_backbone(self) -> bool:
        """Whether a backbone is named."""
        return self.backbone not in (AUTO, NONE)

    @property
    def is_pretrained(self) -> bool:
        """Whether the network starts with trained weights."""
        return self.has_backbone and self.weights != NONE

    @property
    def budget_seconds(self) -> float:
        """`budget` in seconds."""
        found = _DURATION.fullmatch(self.budget)
        assert found
        return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate given, or the optimiser's default."""
        if self.learning_rate is not None:
            return self.learning_rate
        return {"sgd": 0.05, "muon": 0.15}.get(self.optimizer, 0.002)

    @property
    def pruned_epochs(self) -> int:
        """The number of epochs that leave images out with `data_pruning`. Needs a config settled by `for_images`."""
        return round(0.85 * (self.epochs or 0))

    @property
    def augmentation(self) -> dict[str, float]:
        """The rates in force: those given, and the preset's for the others."""
        preset = self.preset
        if preset == "auto":
            preset = "text" if self.data in _TEXT_DATASETS else "photo"
        given = {rate: getattr(self, rate) for rate in RATES}
        return PRESETS[preset] | {rate: value for rate, value in given.items() if value is not None}

    @property
    def answers_mirrored(self) -> bool:
        """Whether the model classifies mirror images too: only if training showed it mirror images."""
        return self.mirrored and self.augmentation["horizontal_flip"] > 0

    def for_images(self, images: int) -> Config:
        """Return a copy in which the options that depend on the number of training images are set.

        Few images get small batches, so that an epoch still has some steps, and many epochs. A pretrained network needs
        fewer of both: with batches of 32 instead of 16, few-shot CIFAR-10 took 0.6 times as long and was as accurate.
        """
        few = 200 if self.is_pretrained else 1_000
        batch_size = self.batch_size or (16 if images < few else 32 if images < 10_000 else 64)
        epochs = self.epochs
        if epochs is None:
            steps = -(-images // batch_size)
            least, most, wanted = (8, 20, 250) if self.is_pretrained else (20, 60, 1000)
            epochs = min(most, max(least, -(-wanted // steps)))
        patience = self.patience or (None if self.is_pretrained else max(5, -(-epochs // 3)))
        return replace(self, batch_size=batch_size, epochs=epochs, patience=patience)

    def relocatable(self) -> Config:
        """Return a copy that can be run from any folder: with absolute paths, and without `out`."""

        def absolute(path: str | None) -> str | None:
            if path in (None, *DATASETS, IMAGENET, NONE) or is_url(path):
                return path
            return str(Path(path).resolve())

        return replace(
            self,
            data=absolute(self.data) or "",
            validation_data=absolute(self.validation_data),
            test_data=absolute(self.test_data),
            images_root=absolute(self.images_root),
            weights=absolute(self.weights),
            cache_dir=absolute(self.cache_dir),
            exclude=absolute(self.exclude),
            out=None,
        )


def _check(name: str, value: Any, metadata: Any) -> None:
    if value is None:
        return
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise UsageError(f"{flag(name)} is {value!r}, which isn't UTF-8 and can't be recorded; rename the folder")
    choices, low, high = metadata["choices"], metadata["low"], metadata["high"]
    if choices and value not in choices:
        raise UsageError(f"{flag(name)} is {value!r}; choose one of {', '.join(choices)}")
    # NaN compares false, so that it fails either test.
    if low is not None and not value >= low:
        raise UsageError(f"{flag(name)} is {value}; it must be at least {low}")
    if high is not None and not value <= high:
        raise UsageError(f"{flag(name)} is {value}; it must be at most {high}")


def flag(name: str) -> str:
    """Return the command-line option of the field `name`."""
    return "--" + name.replace("_", "-")
