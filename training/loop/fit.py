"""The training loop: `model.fit` with early stopping, checkpoints, Ctrl-C and resuming."""

from __future__ import annotations

import math
import time
from typing import Any, NoReturn

import keras

from training.config import Config
from training.distributed.workers import Workers, guarded
from training.errors import Diverged
from training.input.batches import Batches
from training.loop import image_losses
from training.loop.checkpoint import Checkpoint, Progress
from training.loop.divergence import has_diverged
from training.loop.interruption import Interruption, stoppable
from training.progress import Bar, console

# With a small network, drawing at every step would take up to a tenth of the time.
_SECONDS_A_FRAME = 0.2


def fit(
    model: Any,
    train: Batches,
    validation: Batches | None,
    config: Config,
    checkpoint: Checkpoint,
    progress: Progress,
    workers: Workers = Workers(),  # noqa: B008 - it is frozen
) -> Progress:
    """Train until the last epoch, early stopping, Ctrl-C, SIGTERM or SIGHUP. Then `model` has the best epoch's weights.

    Args:
        model: compiled; when resuming, with the weights and optimiser state of `progress`.
        train, validation: the data. Without `validation`, or with a `patience` of None, the last epoch is the best and
            training doesn't stop early.
        config: settled by `for_images`.
        checkpoint: written after every epoch.
        progress: the state to start from; `Progress()` for a new run.
        workers: the workers of this training.

    Returns:
        The final progress; `stopped` is "finished", "early_stopping" or "interrupted".

    Raises:
        Interrupted: Ctrl-C was pressed twice, or SIGTERM or SIGHUP came twice.
        WorkersLost: another worker has stopped, or all were stopped from outside.
        Diverged: the loss is not finite, or has long been that of a network worse than a guess.
    """
    early_stopping = None
    if validation is not None and config.patience is not None:
        early_stopping = keras.callbacks.EarlyStopping("val_loss", patience=config.patience)
    with stoppable(workers, checkpoint.run) as interruption, guarded(workers):
        loop = _Loop(train, checkpoint, progress, early_stopping, interruption, config, workers)
        if not _out_of_patience(progress, config):
            model.fit(
                train,
                validation_data=validation,
                epochs=config.epochs,
                initial_epoch=progress.epochs,
                callbacks=[*([early_stopping] if early_stopping else []), loop],
                shuffle=False,  # `train` has its own, seeded order
                verbose=0,
            )
        interruption.settle(progress.epochs)
    if interruption.requested:
        progress.stopped = "interrupted"
    else:
        progress.stopped = "early_stopping" if progress.epochs < (config.epochs or 0) else "finished"
        checkpoint.save_progress(progress)
    if progress.best_epoch:
        workers.wait("the best epoch's weights")
        checkpoint.restore_best(model, progress)
    return progress


def _out_of_patience(progress: Progress, config: Config) -> bool:
    """Return whether early stopping applies after the last epoch. A run killed at that moment hasn't recorded it."""
    losses = progress.history.get("val_loss", [])[progress.phase_start :]
    return bool(losses) and len(losses) - 1 - losses.index(min(losses)) >= (config.patience or math.inf)


class _Loop(keras.callbacks.Callback):  # type: ignore[misc]
    """Progress, checkpoints and interruption, around each step and epoch."""

    def __init__(
        self,
        train: Batches,
        checkpoint: Checkpoint,
        progress: Progress,
        early_stopping: Any,
        interruption: Interruption,
        config: Config,
        workers: Workers,
    ) -> None:
        super().__init__()
        self._rate, self._several = config.peak_learning_rate, workers.count > 1
        self._train, self._checkpoint, self._progress = train, checkpoint, progress
        self._early_stopping, self._interruption = early_stopping, interruption

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if self._early_stopping is not None:
            # Keras doesn't save its counter; replaying the epochs of this phase restores it.
            for epoch in range(self._progress.phase_start, self._progress.epochs):
                past = {name: values[epoch] for name, values in self._progress.history.items()}
                self._early_stopping.on_epoch_end(epoch, past)
        self.model.stop_training = False
        if self._train.pruner is not None and self._progress.epochs:
            self._train.pruner.losses[:] = self._checkpoint.load_losses(self._progress)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._train.start_epoch(epoch)
        self._epoch = epoch
        self._started = self._shown = time.perf_counter()
        label = f"Epoch {epoch + 1}/{self.params['epochs']}"
        self._bar = Bar(label, self._train.images_an_epoch)
        self._bar.__enter__()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._train.pruner is not None:
            self._train.learn_losses(batch, image_losses.latest(self.model))
        now = time.perf_counter()
        if now - self._shown > _SECONDS_A_FRAME:
            self._shown = now
            logs = logs or {}
            done = (batch + 1) * self._train.batch_size
            self._bar.show(done, f"loss {logs['loss']:.3f} accuracy {logs['accuracy']:.3f}")
            # Several workers must end at the same step; theirs is the end of the epoch.
            if not math.isfinite(logs["loss"]) and not self._several:
                self._end_diverged(self._epoch, "is not finite")
        if self._interruption.step():
            self.model.stop_training = True

        # `on_test_begin` sets it again, so that validation isn't counted.
        self._train_seconds = now - self._started

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._train_seconds = time.perf_counter() - self._started

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._bar.__exit__(None, None, None)
        if self._interruption.requested:
            return  # a resumed run repeats the incomplete epoch from its start
        logs = dict(logs or {})
        held_out = "val_loss" in logs
        if not math.isfinite(logs["loss"] + logs.get("val_loss", 0)):
            self._end_diverged(epoch, "is not finite")
        progress = self._progress
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        logs.setdefault("learning_rate", rate)
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
            if name in logs:
                progress.history.setdefault(name, []).append(float(logs[name]))
        in_phase = slice(progress.phase_start, None)
        losses, accuracies = progress.history["loss"][in_phase], progress.history["accuracy"][in_phase]
        most = self.params["epochs"] - progress.phase_start
        if has_diverged(losses, accuracies, self._train.class_shares, most):
            self._end_diverged(epoch, f"is {logs['loss']:.4g}, and the network has long been no better than a guess")
        progress.epochs, progress.images_an_epoch = epoch + 1, self._train.images_an_epoch
        progress.seconds += self._train_seconds
        better = self._early_stopping is None or logs["val_loss"] < progress.best_loss
        if better or not progress.best_epoch:
            progress.best_epoch, progress.best_loss = epoch + 1, float(logs["val_loss" if held_out else "loss"])
        pruner = self._train.pruner
        self._checkpoint.save(self.model, progress, None if pruner is None else pruner.losses)
        validated = f"val_loss {logs['val_loss']:.4f}  val_accuracy {logs['val_accuracy']:.4f}  " if held_out else ""
        console.print(
            f"Epoch {epoch + 1:3}/{self.params['epochs']}  "
            f"loss {logs['loss']:.4f}  accuracy {logs['accuracy']:.4f}  {validated}"
            f"{self._train.images_an_epoch / self._train_seconds:,.0f} images/s{'  *' if better else ''}"
        )

    def _end_diverged(self, epoch: int, how: str) -> NoReturn:
        self._bar.__exit__(None, None, None)
        raise Diverged(f"in epoch {epoch + 1} the loss {how}", self._rate)
