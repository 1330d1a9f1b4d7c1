"""Train a model, from folder to store: the order of the steps. Each step has its own module."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model_format import card as model_card
from training import backend, environment, folders, options
from training.checks.run import of_training
from training.choice.choose import choose, compares
from training.choice.choose import read as choice_of
from training.config import Config
from training.data.dataset import Dataset, load
from training.data.imbalance import LOGIT_ADJUSTMENT
from training.data.locations import keep_outside
from training.distributed.workers import Workers, here, join, part_from, shares
from training.errors import (
    BelowMinimumAccuracy,
    DataError,
    Diverged,
    Interrupted,
    ModelError,
    UsageError,
)
from training.export import adjustment, calibration, entry, limits, publish
from training.fields import AUTO
from training.input.parts import batches, training_batches, validation_batches
from training.loop import changes, phases
from training.loop.checkpoint import Checkpoint, Progress
from training.loop.compile import compile_for_evaluation
from training.network import backbone
from training.network.served import for_serving
from training.report import calibration as calibrated
from training.report import card, course, explaining, metrics, record
from training.report.document import Data, Environment, TrainingReport
from training.report.figures import Adjustment, Validation

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a run leaves behind: its folder and its report."""

    out: Path
    report: TrainingReport

    @property
    def tag(self) -> str | None:
        """The model's tag in the store; None if it was not published."""
        return self.report.model.tag


def train(config: Config) -> Result:
    """Start a run: train, evaluate and publish a model.

    Raises:
        TrainingError: see `training.errors`. The report of a refused model is written nevertheless.
    """
    group = here()
    if group.count > 1 and not config.out:
        raise UsageError("several workers need --out DIR, a folder that all of them see")
    keep_outside(Path(config.out or folders.RUNS), config)
    if group.leads:
        check_store(config)
    out = Path(config.out) if config.out else folders.new_run()
    with folders.of_run(out, group.leads):
        if group.leads and (out / folders.CONFIG).exists():
            raise UsageError(f"{out} holds a run already; resume it with --resume {out}, or give another --out")
        return _begin(config, out, group)


def _begin(config: Config, out: Path, group: Workers) -> Result:
    given = config.batch_size
    try:
        if group.leads and compares(config, group.count):
            options.write(config.relocatable(), out / folders.CONFIG)  # a comparison that is stopped can be resumed
        config = backbone.settle(choose(config, out, group.count))
        data = load(config)
        config = group.settle(config.for_images(len(data.parts["train"])), given)
        if group.leads:
            options.write(config.relocatable(), out / folders.CONFIG)
        return _run(config, data, out, group)
    except (UsageError, DataError, ModelError):
        if group.leads and not (out / "checkpoint").exists():  # what can't be trained leaves no run behind
            (out / folders.CONFIG).unlink(missing_ok=True)
        raise


def resume(
    out: Path,
    *,
    epochs: int | None = None,
    data: str | None = None,
    validation_data: str | None = None,
    test_data: str | None = None,
    images_root: str | None = None,
) -> Result:
    """Resume the run in `out` after its last complete epoch; a run that was published is left unchanged.

    Args:
        out: the run's folder.
        epochs: a number for `--epochs` that lets a finished run train on; see `phases.run`.
        data, validation_data, test_data, images_root: where the same images are now.

    Raises:
        TrainingError: see `training.errors`.
    """
    if not (out / folders.CONFIG).exists():
        raise ModelError(f"{out} holds no run to resume (no config.toml)")
    group = here()
    with folders.of_run(out, group.leads):
        report = _published(out) if group.leads else record.read(out)
        begun = options.of_run(out / folders.CONFIG)
        places = {"data": data, "validation_data": validation_data, "test_data": test_data, "images_root": images_root}
        config = changes.moved(begun, places, out)
        progress = Checkpoint(out).load()
        if epochs is not None:
            config = changes.extended(config, epochs, progress, out)
        if report and report.model.published and _trained(report, config):
            logger.info("%s is complete already; nothing to do", out)
            return Result(out, report)
        if progress:
            backend.resume_with(progress.backend)
        if config != begun:
            keep_outside(out, config)
        if group.leads:
            check_store(config)
        if progress and phases.ended(config, progress):
            group = group.disbanded()  # the remaining steps need one process
        if config.backbone == AUTO:
            return _begin(config, out, group)
        images = load(config)
        if progress and progress.fingerprint != images.summary["fingerprint"]:
            raise ModelError(f"the images have changed since {out} was begun; start a new run")
        if config != begun and group.leads:
            options.write(config, out / folders.CONFIG)
        return _run(config, images, out, group)


def _trained(report: TrainingReport, config: Config) -> bool:
    """Return whether the training that `report` is about has ended and had as many epochs as `config` has now."""
    return report.train.stopped != "interrupted" and report.train.config.get("epochs") == config.epochs


def check_store(config: Config) -> None:
    """Try what publishing will need, before anything takes long.

    Raises:
        StoreError: the model store can't be written, or refuses the model's name.
    """
    if config.publish:
        publish.check(config.name)


def _published(out: Path) -> TrainingReport | None:
    """Return the report of the run in `out`. A run that was killed while it published may have a prepared one."""
    prepared = record.read(out, prepared=True)
    if prepared and prepared.model.tag and publish.stored(prepared.model.tag):
        record.settle(out)
    return record.read(out)


def _run(config: Config, data: Dataset, out: Path, group: Workers) -> Result:
    described = environment.describe()
    # Several workers check the data only after training: until then they would wait for the one that does it.
    checked = of_training(data, config, out) if group.count == 1 else None
    environment.start_keras(config.seed)
    join(group)
    described |= backend.describe() | ({"workers": group.count} if group.count > 1 else {})

    model, progress = _train(config, data, out, group)
    checked = checked or of_training(data, config, out)
    model = for_serving(model, config.answers_mirrored, config.moved)
    compile_for_evaluation(model, config)

    validation = _validate(model, data)
    adjusted = _adjust(model, data, config)
    temperature, uncalibrated = _calibrate(model, data, config)
    test = data.parts["test"]
    probabilities = model.predict(batches(test, data), verbose=0)
    if not np.isfinite(probabilities).all():
        raise Diverged("the network's answers are not finite", config.peak_learning_rate)
    exported = entry.write(model, probabilities, data, config, out / "model")
    explanations, explained = explaining.explain(model, test, probabilities, data.class_names)
    evaluation = metrics.evaluate(test.labels, probabilities, data.class_names)
    known = _known(out, progress)
    report = TrainingReport(
        test=evaluation,
        calibration=calibrated.describe(temperature, uncalibrated, test.labels, probabilities),
        validation=validation,
        data=Data.from_json(data.summary),
        checks=checked.section,
        train=course.describe(config, progress, data.balance, choice_of(out)),
        model=replace(exported, refused=_refused(evaluation.accuracy, config), tag=known, published=known is not None),
        environment=Environment(**described),
        explanations=explanations,
        limits=limits.write(out / "model", data.parts.get("validation"), test, config.seed),
        adjustment=adjusted,
    )
    shown = record.draw(report, data, config, probabilities) | explained | checked.pictures
    record.write(out, report, shown)
    if report.model.refused:
        raise BelowMinimumAccuracy(f"not published: {report.model.refused}; report: {out / 'report.html'}")
    if known:
        logger.info("epoch %d is still the best, and is published as %s already", progress.best_epoch, known)
    elif config.publish:
        metadata = entry.metadata(config, report, test, probabilities)
        report = _publish(report, config, metadata, out, shown)
    return Result(out, report)


def _known(out: Path, progress: Progress) -> str | None:
    """Return the tag under which an earlier end of this run has published the best epoch; None if it is not stored."""
    before = record.read(out)
    if before is None or not before.model.tag or before.train.best_epoch != progress.best_epoch:
        return None
    return before.model.tag if before.model.published and publish.stored(before.model.tag) else None


def _refused(accuracy: float, config: Config) -> str | None:
    if accuracy >= config.min_accuracy:
        return None
    return f"test accuracy {accuracy:.4f} is below --min-accuracy {config.min_accuracy}"


def _publish(
    report: TrainingReport, config: Config, metadata: dict[str, Any], out: Path, shown: dict[str, bytes]
) -> TrainingReport:
    """Put the model into the store and say so in the report, as the last step; return the report."""
    tag = publish.new_tag(config.name)
    report = replace(report, model=replace(report.model, tag=tag, published=True))
    model_card.write(out / "model", card.of_run(report, tag))
    # The report that names the tag is complete before the store is, so that a resumed run knows what it published.
    record.prepare(out, report, shown)
    labels = {"task": "image-classification", "framework": "keras", "data": report.data.name}
    publish.publish(tag, out / "model", labels, metadata)
    record.settle(out)
    return report


def _train(config: Config, data: Dataset, out: Path, group: Workers) -> tuple[Any, Progress]:
    train_batches = training_batches(
        data.parts["train"], data, config, share=(group.index, group.count), devices=shares()
    )
    checkpoint = Checkpoint(out, writes=group.leads, events=config.tensorboard)
    progress = checkpoint.load() or Progress(data.summary["fingerprint"], backend.describe()["backend"])
    group.agree(config, data.summary["fingerprint"], progress.epochs)
    held_out = validation_batches(data, copies=shares() // group.count)
    model, progress = phases.run(config, data, train_batches, held_out, checkpoint, progress, group)
    separated = part_from(group)
    if not progress.best_epoch:
        raise Interrupted("interrupted before an epoch was complete: nothing was published")
    if separated:
        model = checkpoint.load_model(progress)  # on this process's devices alone
        checkpoint.restore_best(model, progress)
    return model, progress


def _validate(model: Any, data: Dataset) -> Validation | None:
    held_out = validation_batches(data)
    if held_out is None:
        return None
    found = model.evaluate(held_out, verbose=0, return_dict=True)
    return Validation(loss=float(found["loss"]), accuracy=float(found["accuracy"]))


def _adjust(model: Any, data: Dataset, config: Config) -> Adjustment | None:
    if data.balance != LOGIT_ADJUSTMENT:
        return None
    if config.refit:
        return adjustment.unadjusted("with --refit no image was held out to choose a strength by")
    validation = data.parts["validation"]
    counts = np.bincount(data.parts["train"].labels, minlength=len(data.class_names))
    return adjustment.adjust(model, batches(validation, data), validation.labels, counts, config.seed)


def _calibrate(model: Any, data: Dataset, config: Config) -> tuple[float, str | None]:
    if not config.calibrate:
        return 1.0, "switched off"
    if config.refit:
        return 1.0, "with --refit no image was held out to fit a temperature on"
    validation = data.parts["validation"]
    return calibration.calibrate(model, batches(validation, data), validation.labels)
