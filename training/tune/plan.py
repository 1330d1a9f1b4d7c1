"""All that a search needs to know, in one object that goes to each of its processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.config import Config
from training.tune.space import Space

SEARCHES = ("random", "tpe", "hyperband", "grid")

# They decide where a search happens and what becomes of its best trial, not what a trial finds.
_IRRELEVANT = ("data", "test_data", "strict", "workers", "cache_dir", "out", "name", "min_accuracy", "int8", "publish")


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
        options = {name: value for name, value in asdict(self.config).items() if name not in _IRRELEVANT}
        return {
            "data": self.fingerprint,
            "space": self.space.document(),
            "search": self.search,
            "options": options,
        }
