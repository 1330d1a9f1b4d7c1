"""Do one trial: train a configuration and return its best validation loss. The test part is never read."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from training import environment
from training.config import Config
from training.data.dataset import Dataset, load
from training.errors import ModelError, one_line
from training.input.parts import training_batches
from training.loop.checkpoint import Progress, Unsaved
from training.loop.compile import compile_model
from training.network import network, whitening
from training.tune.plan import Plan
from training.tune.study import BASELINE, ERROR

if TYPE_CHECKING:
    import numpy as np
    from optuna import Trial

_EVALUATION_BATCH = 128
_METRIC = "cross_entropy"


class TrialFailed(Exception):
    """The trial itself failed, such as by its loss or its memory."""


class Objective:
    """The function that Optuna minimises. The decoded images are opened once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.data = searched(load(plan.config))
        if self.data.summary["fingerprint"] != plan.fingerprint:
            raise ModelError("the images have changed since the search was started; run the command again")

    def __call__(self, trial: Trial, begin: Callable[[], None]) -> float:
        """Train a configuration; `begin` is called as soon as it is chosen.

        Raises:
            optuna.TrialPruned: other trials did better in the same number of epochs.
            TrialFailed: the trial failed; its attribute `error` says why in one line.
            sqlalchemy.exc.SQLAlchemyError: the storage failed, not the trial.
        """
        from optuna.exceptions import OptunaError
        from sqlalchemy.exc import SQLAlchemyError

        baseline = bool(trial.user_attrs.get(BASELINE))
        config = self._plan.config
        # The default configuration is tried unchanged, even if it lies outside the space.
        if not baseline or self._plan.space.values_of(config) is not None:
            chosen = self._plan.space.suggest(trial)
            config = config if baseline else replace(config, **chosen)
        begin()
        try:
            return self._train(config, _Watched(trial, baseline, config.epochs or 1))
        except (OptunaError, SQLAlchemyError):
            raise
        except Exception as error:
            trial.set_user_attr(ERROR, one_line(error))
            raise TrialFailed from error
        finally:
            import keras

            keras.utils.clear_session()
            gc.collect()

    def _train(self, config: Config, watched: _Watched) -> float:
        environment.start_keras(config.seed)
        import keras

        from training.input.batches import Batches
        from training.loop.fit import fit

        train, validation = (self.data.parts[name] for name in ("train", "validation"))
        classes = len(self.data.class_names)
        batches = training_batches(train, self.data, config)
        held_out = Batches(validation.images, validation.rows, validation.labels, classes, _EVALUATION_BATCH)
        model = network.build(config, classes)
        whitening.fit(model, batches.sample(whitening.images_needed(config.image_size)))
        compile_model(model, config, batches.num_batches, [keras.metrics.CategoricalCrossentropy(_METRIC)])
        progress = fit(model, batches, held_out, config, watched, Progress())
        return watched.tell(model, progress)


def searched(data: Dataset) -> Dataset:
    """Return `data` without its test part, so that a trial can't read it."""
    return replace(data, parts={name: data.parts[name] for name in ("train", "validation")})


class _Watched(Unsaved):
    """Reports each epoch's validation loss to Optuna, which may end the trial.

    The loss reported is the plain cross-entropy. Keras' own loss includes the penalty on the weights and the smoothing
    of the labels, so the trial with the least of these would always look best.
    """

    def __init__(self, trial: Trial, baseline: bool, epochs: int) -> None:
        super().__init__()
        self._trial, self._baseline, self._epochs = trial, baseline, epochs
        self._reported: list[float] = []
        self._started = time.monotonic()

    def save(self, model: Any, progress: Progress, losses: np.ndarray | None = None) -> None:
        """Report the epoch. The default configuration is never pruned: the other trials are compared with it."""
        import optuna

        self._reported.append(float(model.get_metrics_result()[_METRIC]))
        self._trial.report(self._reported[-1], progress.epochs)
        if not self._baseline and progress.epochs < self._epochs and self._trial.should_prune():
            self.tell(model, progress)
            raise optuna.TrialPruned

    def tell(self, model: Any, progress: Progress) -> float:
        """Store the figures that the report shows; return the loss of the epoch that a training would keep."""
        best = progress.best_epoch
        found = {
            "epochs": progress.epochs,
            "best_epoch": best,
            "val_accuracy": progress.history["val_accuracy"][best - 1],
            "parameters": int(model.count_params()),
            "seconds": time.monotonic() - self._started,
        }
        for name, value in found.items():
            self._trial.set_user_attr(name, value)
        return self._reported[best - 1]
