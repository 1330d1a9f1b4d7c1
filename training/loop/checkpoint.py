"""The state that a run resumes from: last model, best weights, history. One file, replaced atomically, names them."""

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
from training.loop.history import Events, write_csv

_STATE = "state.json"


@dataclass
class Progress:
    """The state of a run after `epochs` complete epochs."""

    fingerprint: str = ""
    """Of the data, so that a run can't resume with other images."""
    backend: str = ""
    """Keras' backend; each rounds differently."""
    epochs: int = 0
    best_epoch: int = 0
    """Counted from 1; 0 before the first."""
    best_loss: float = float("inf")
    seconds: float = 0.0
    """Spent on training steps, without validation and saving."""
    images_an_epoch: int = 0
    stopped: str = ""
    """Why training stopped ("finished", "early_stopping"), or empty while it runs."""
    history: dict[str, list[float]] = field(default_factory=dict)
    seeds: list[list[int]] = field(default_factory=list)
    """The state of each random layer, which Keras' files don't include."""
    phases: list[dict[str, Any]] = field(default_factory=list)
    """The phases that have begun, the current one last: see `phases.run`."""

    @property
    def phase_start(self) -> int:
        """Complete epochs before the current phase."""
        return int(self.phases[-1]["start"]) if self.phases else 0


class Checkpoint:
    """The folder `checkpoint/` of a run. After `kill -9` at any moment, the previous state is readable."""

    def __init__(self, run: Path, *, writes: bool = True, events: bool = False) -> None:
        self.run = run
        self._folder = run / "checkpoint"
        self._writes = writes
        """Of several workers, one writes for all."""
        self._wants_events = events
        self._events: Events | None = None

    def load(self) -> Progress | None:
        """Return the saved progress, or None before anything is saved.

        Raises:
            ModelError: the checkpoint can't be read.
        """
        try:
            state = json.loads((self._folder / _STATE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ModelError(f"the checkpoint in {self._folder} can't be read: {error}") from error
        return Progress(**state)

    def save(self, model: Any, progress: Progress, losses: np.ndarray | None = None) -> None:
        """Save `model` as the last one and, if this epoch is the best, its weights as the best; write its figures.

        Args:
            model: compiled.
            progress: the state of the run.
            losses: (N,) losses of the images, if the next epoch depends on them.
        """
        import keras

        if self._writes:
            self._folder.mkdir(parents=True, exist_ok=True)
            with undivided():
                model.save(self._last(progress.epochs))
        if progress.best_epoch == progress.epochs:
            # All workers take part, because the weights are shared between them.
            with undivided():
                if self._writes:
                    model.save_weights(self._best(progress.best_epoch))
        if not self._writes:
            return
        if losses is not None:
            np.save(self._losses(progress.epochs), losses)
        if self._wants_events:
            self._events = self._events or Events(self.run / "tensorboard", progress.epochs - 1)
            self._events.add(progress.history, progress.epochs)
        progress.seeds = [[int(word) for word in keras.ops.convert_to_numpy(state)] for state in _seed_states(model)]
        self.save_progress(progress)
        epoch, best = progress.epochs, progress.best_epoch
        wanted = {_STATE, self._last(epoch).name, self._losses(epoch).name, self._best(best).name}
        for entry in self._folder.iterdir():
            if entry.name not in wanted:
                entry.unlink()

    def save_progress(self, progress: Progress) -> None:
        """Save `progress` alone, and history.csv. The files that it refers to must exist."""
        if not self._writes:
            return
        temporary = self._folder / f"{_STATE}.new"
        temporary.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        os.replace(temporary, self._folder / _STATE)
        write_csv(self.run / "history.csv", progress.history)

    def load_model(self, progress: Progress) -> Any:
        """Return the last model, with the state of its optimiser and its random layers.

        Raises:
            ModelError: the file is missing or damaged.
        """
        import keras

        # Importing these modules registers the layers, metrics and optimisers that a model may contain.
        from training.loop import image_losses, muon, schedules  # noqa: F401
        from training.network import convolution, normalization  # noqa: F401

        path = self._last(progress.epochs)
        try:
            model = keras.saving.load_model(path)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"the checkpoint {path} can't be read: {error}") from error
        for state, value in zip(_seed_states(model), progress.seeds, strict=True):
            state.assign(value)
        return model

    def load_losses(self, progress: Progress) -> np.ndarray:
        """Return the losses of the images that were saved with the last model.

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
        """Load the best epoch's weights into `model`."""
        with warnings.catch_warnings():
            # The optimiser of an earlier phase has other variables. Its state isn't needed.
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            model.load_weights(self._best(progress.best_epoch))

    def _last(self, epoch: int) -> Path:
        return self._folder / f"last-{epoch:04}.keras"

    def _losses(self, epoch: int) -> Path:
        return self._folder / f"losses-{epoch:04}.npy"

    def _best(self, epoch: int) -> Path:
        return self._folder / f"best-{epoch:04}.weights.h5"


class Unsaved(Checkpoint):
    """Takes the place of a checkpoint in a training that is repeated from its start if it is killed."""

    def __init__(self) -> None:
        super().__init__(Path(), writes=False)

    def save(self, model: Any, progress: Progress, losses: np.ndarray | None = None) -> None:
        """Save nothing."""

    def restore_best(self, model: Any, progress: Progress) -> None:
        """Keep the last weights."""


def _seed_states(model: Any) -> list[Any]:
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]
