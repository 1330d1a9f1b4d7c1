"""Train a model, from folder to store: the order of the steps. Each step has its own module."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from training import backend, environment, options
from training.checks.run import of_training
from training.config import Config
from training.data.dataset import Dataset, Part, load
from training.data.locations import keep_outside
from training.distributed.workers import Workers, here, join, part_from, shares
from training.errors import BelowMinimumAccuracy, Interrupted, ModelError, UsageError
from training.export import calibration, entry
from training.export.publish import publish
from training.input.parts import batches, training_batches, validation_batches
from training.loop import phases
from training.loop.checkpoint import Checkpoint, Progress
from training.loop.compile import compile_for_evaluation
from training.network import backbone
from training.network.served import for_serving
from training.report import calibration as calibrated
from training.report import course, explaining, metrics, record
from training.report.document import Data, Environment, Model, TrainingReport, Validation

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
    out = Path(config.out) if config.out else Path("runs", datetime.now().strftime("%Y%m%d-%H%M%S"))
    if group.leads and (out / "config.toml").exists():
        raise UsageError(f"{out} holds a run already; resume it with --resume {out}, or give another --out")
    keep_outside(out, config)
    config = backbone.settle(config)
    data = load(config)
    config = group.settle(config.for_images(len(data.parts["train"])), given=config.batch_size)
    if group.leads:
        out.mkdir(parents=True, exist_ok=True)
        options.write(config.relocatable(), out / "config.toml")
    try:
        return _run(config, data, out, group)
    except (UsageError, ModelError):
        if group.leads and not (out / "checkpoint").exists():  # missing weights leave no run behind
            (out / "config.toml").unlink()
        raise


def resume(out: Path) -> Result:
    """Resume the run in `out` after its last complete epoch; a run that was published is left unchanged.

    Raises:
        TrainingError: see `training.errors`.
    """
    if not (out / "config.toml").exists():
        raise ModelError(f"{out} holds no run to resume (no config.toml)")
    report = record.read(out)
    if report and report.model.published and report.train.stopped != "interrupted":
        logger.info("%s is complete already; nothing to do", out)
        return Result(out, report)
    progress = Checkpoint(out).load()
    if progress:
        backend.resume_with(progress.backend)
    group = here()
    config = options.merge({}, out / "config.toml")
    if progress and phases.ended(config, progress):
        group = group.disbanded()  # the remaining steps need one process
    return _run(config, load(config), out, group)


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
    temperature, uncalibrated = _calibrate(model, data, config)
    test = data.parts["test"]
    probabilities = model.predict(batches(test, data), verbose=0)
    exported = entry.write(model, probabilities, data, config, out / "model")
    explanations, explained = explaining.explain(model, test, probabilities, data.class_names)
    report = TrainingReport(
        test=metrics.evaluate(test.labels, probabilities, data.class_names),
        calibration=calibrated.describe(temperature, uncalibrated, test.labels, probabilities),
        validation=validation,
        data=Data.from_json(data.summary),
        checks=checked.section,
        train=course.describe(config, progress, data.balance),
        model=exported,
        environment=Environment(**described),
        explanations=explanations,
    )
    report = replace(report, model=_publish(report, config, test, probabilities, out / "model"))
    record.write(out, report, data, config, probabilities, explained | checked.pictures)
    if report.model.refused:
        raise BelowMinimumAccuracy(f"not published: {report.model.refused}; report: {out / 'report.html'}")
    return Result(out, report)


def _train(config: Config, data: Dataset, out: Path, group: Workers) -> tuple[Any, Progress]:
    train_batches = training_batches(
        data.parts["train"], data, config, share=(group.index, group.count), devices=shares()
    )
    checkpoint = Checkpoint(out, writes=group.leads)
    progress = checkpoint.load() or Progress(data.summary["fingerprint"], backend.describe()["backend"])
    group.agree(config, data.summary["fingerprint"], progress.epochs)
    if progress.fingerprint != data.summary["fingerprint"]:
        raise ModelError(f"the images have changed since {out} was begun; start a new run")
    held_out = validation_batches(data, copies=shares() // group.count)
    model, progress = phases.run(config, len(data.class_names), train_batches, held_out, checkpoint, progress, group)
    if part_from(group):
        if not progress.best_epoch:
            raise Interrupted("interrupted before there was anything to keep")
        model = checkpoint.load_model(progress)  # on this process's devices alone
        checkpoint.restore_best(model, progress)
    return model, progress


def _validate(model: Any, data: Dataset) -> Validation | None:
    held_out = validation_batches(data)
    if held_out is None:
        return None
    found = model.evaluate(held_out, verbose=0, return_dict=True)
    return Validation(loss=float(found["loss"]), accuracy=float(found["accuracy"]))


def _calibrate(model: Any, data: Dataset, config: Config) -> tuple[float, str | None]:
    if not config.calibrate:
        return 1.0, "switched off"
    if config.refit:
        return 1.0, "with --refit no image was held out to fit a temperature on"
    validation = data.parts["validation"]
    return calibration.calibrate(model, batches(validation, data), validation.labels)


def _publish(report: TrainingReport, config: Config, test: Part, probabilities: np.ndarray, files: Path) -> Model:
    """Put `files` into the model store, if the model is good enough; return its section of the report."""
    accuracy = report.test.accuracy
    if accuracy < config.min_accuracy:
        refused = f"test accuracy {accuracy:.4f} is below --min-accuracy {config.min_accuracy}"
        return replace(report.model, refused=refused)
    if not config.publish:
        return report.model
    labels = {"task": "image-classification", "framework": "keras", "data": report.data.name}
    metadata = entry.metadata(config, report, test, probabilities)
    return replace(report.model, tag=publish(config.name, files, labels, metadata), published=True)
