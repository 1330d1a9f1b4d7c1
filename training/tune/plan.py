"""All that a search needs to know, in one object that goes to each of its processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from training.config import Config
from training.tune.space import Space

SEARCHES = ("random", "tpe", "hyperband", "grid")

# They decide where the images are and how they are decoded; which they are, the fingerprint tells.
_ELSEWHERE = ("data", "test_data", "strict", "decoders", "cache_dir")


@dataclass(frozen=True)
class Plan:
    """One command's search; `config` is the default configuration, settled by `for_images`."""

    config: Config
    space: Space
    search: str
    trials: int
    """Beside the default configuration, which is trial 0."""
    processes: int
    out: Path
    storage: str
    """URL; may hold a password."""
    study: str
    fingerprint: str
    """Of the data."""

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for trials to belong to one study, as JSON can hold it."""
        # Nor do checks and what becomes of the best trial make a difference to what a trial finds.
        other = [f.name for f in fields(Config) if f.metadata["group"] in ("result", "checks")]
        options = {name: value for name, value in asdict(self.config).items() if name not in (*other, *_ELSEWHERE)}
        return {
            "data": self.fingerprint,
            "space": self.space.document(),
            "search": self.search,
            "options": options,
        }
