"""Describe a search in one object, which each of its processes gets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from training.config import Config
from training.tune.space import Space

SEARCHES = ("random", "tpe", "hyperband", "grid")

# Where the images are and how they are decoded changes no trial; the fingerprint identifies the images.
_ELSEWHERE = ("data", "validation_data", "test_data", "images_root", "layout", "strict", "decoders", "cache_dir")


@dataclass(frozen=True)
class Plan:
    """One command's search; `config` is the default configuration, settled by `for_images`."""

    config: Config
    space: Space
    search: str
    trials: int
    """Number of trials besides the default configuration, which is trial 0."""
    processes: int
    out: Path
    storage: str
    """URL, which may contain a password."""
    study: str
    fingerprint: str
    """SHA-256 of the data."""

    def identity(self) -> dict[str, Any]:
        """Return, as JSON values, what the trials of one study have in common."""
        # Checks and the options of the result change no trial either.
        other = [f.name for f in fields(Config) if f.metadata["group"] in ("result", "checks")]
        options = {name: value for name, value in asdict(self.config).items() if name not in (*other, *_ELSEWHERE)}
        return {
            "data": self.fingerprint,
            "space": self.space.document(),
            "search": self.search,
            "options": options,
        }
