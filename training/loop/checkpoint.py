"""What a run needs to go on after it was ended: last model, best weights, history. One atomic pointer."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.distributed.workers import undivided
from training.errors import ModelError

_STATE = "state.json"


@dataclass
class Progress:
    """Where a run stands after `epochs` complete epochs."""

    fingerprint: str = ""
    """Of the data, so that a resumed run can't go on with other images."""
    backend: str = ""
    """Of Keras; each rounds in its own way."""
    epochs: int = 0
    best_epoch: int = 0
    """Counted from 1; 0 before the first."""
    best_loss: float = float("inf")
    seconds: float = 0.0
    """Spent on training steps, validation and saving left out."""
    images_an_epoch: int = 0
    stopped: str = ""
    """Why training ended ("finished", "early_stopping"), or empty while it goes on."""
    history: dict[str, list[float]] = field(default_factory=dict)
    seeds: list[list[int]] = field(default_factory=list)
    """State of each random layer, which Keras leaves out of its files."""
    phases: list[dict[str, Any]] = field(default_factory=list)
    """Those begun, the present one last: see `phases.run`."""

    @property
    def phase_start(self) -> int:
        """Complete epochs before the present phase."""
        return int(self.phases[-1]["start"]) if self.phases else 0


class Checkpoint:
    """The folder `checkpoint/` of a run. `kill -9` at any moment leaves the previous state readable."""

    def __init__(self, run: Path, *, writes: bool = True) -> None:
        self._folder = run / "checkpoint"
        self._writes = writes
        """Of several workers one does, for all."""

    def load(self) -> Progress | None:
        """Return the saved progress, or None where nothing was saved yet."""
        try:
            state = json.loads((self._folder / _STATE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ModelError(f"the checkpoint in {self._folder} can't be read: {error}") from error
        return Progress(**state)

    def save(self, model: Any, progress: Progress, losses: np.ndarray | None = None) -> None:
        """Save `model` as the last one and, if this epoch is the best, its weights as the best.

        Args:
            model: compiled.
            progress: where it stands.
            losses: (N,) of the images, where the next epoch depends on them.
        """
        import keras

        if self._writes:
            self._folder.mkdir(parents=True, exist_ok=True)
            with undivided():
                model.save(self._last(progress.epochs))
        if progress.best_epoch == progress.epochs:
            # On all workers: the weights are theirs together.
            with undivided():
                if self._writes:
                    model.save_weights(self._best(progress.best_epoch))
        if not self._writes:
            return
        if losses is not None:
            np.save(self._losses(progress.epochs), losses)
        progress.seeds = [[int(word) for word in keras.ops.convert_to_numpy(state)] for state in _seed_states(model)]
        self.save_progress(progress)
        epoch, best = progress.epochs, progress.best_epoch
        wanted = {_STATE, self._last(epoch).name, self._losses(epoch).name, self._best(best).name}
        for entry in self._folder.iterdir():
            if entry.name not in wanted:
                entry.unlink()

    def save_progress(self, progress: Progress) -> None:
        """Save `progress` alone; the files it speaks of must be there."""
        if not self._writes:
            return
        temporary = self._folder / f"{_STATE}.new"
        temporary.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        os.replace(temporary, self._folder / _STATE)

    def load_model(self, progress: Progress) -> Any:
        """Return the last model, with the state of its optimiser and its random layers.

        Raises:
            ModelError: the file is missing or damaged.
        """
        import keras

        from training.loop import (
            image_losses,  # noqa: F401
            muon,  # noqa: F401
            schedules,  # noqa: F401
        )

        # What a model may be made of is registered.
        from training.network import (
            convolution,  # noqa: F401
            normalization,  # noqa: F401
        )

        path = self._last(progress.epochs)
        try:
            model = keras.saving.load_model(path)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"the checkpoint {path} can't be read: {error}") from error
        for state, value in zip(_seed_states(model), progress.seeds, strict=True):
            state.assign(value)
        return model

    def load_losses(self, progress: Progress) -> np.ndarray:
        """Return the losses that were saved with the last model.

        Raises:
            ModelError: the file is missing or damaged.
        """
        path = self._losses(progress.epochs)
        try:
            losses: np.ndarray = np.load(path)
        except (OSError, ValueError) as error:
            raise ModelError(f"the checkpoint {path} can't be read: {error}") from error
        return losses

    def restore_best(self, model: Any, progress: Progress) -> None:
        """Give `model` the best epoch's weights."""
        with warnings.catch_warnings():
            # That of an earlier phase had other variables. Its state isn't wanted.
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            model.load_weights(self._best(progress.best_epoch))

    def _last(self, epoch: int) -> Path:
        return self._folder / f"last-{epoch:04}.keras"

    def _losses(self, epoch: int) -> Path:
        return self._folder / f"losses-{epoch:04}.npy"

    def _best(self, epoch: int) -> Path:
        return self._folder / f"best-{epoch:04}.weights.h5"


def _seed_states(model: Any) -> list[Any]:
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]
