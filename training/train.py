"""One training run from folder to stored model: the order of the steps, each of which has its own module."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from training import backend, environment, options
from training.checks.run import of_training
from training.config import Config
from training.data.dataset import Dataset, Part, load
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
from training.report import explaining, metrics, record

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a run leaves: its folder, the report (as in metrics.json) and the tag, if it was published."""

    out: Path
    report: dict[str, Any]
    tag: str | None


def train(config: Config) -> Result:
    """Train, evaluate and publish anew.

    Raises:
        TrainingError: see `training.errors`; a refused model's report is written all the same.
    """
    group = here()
    if group.count > 1 and not config.out:
        raise UsageError("several workers need --out DIR, a folder that all of them see")
    out = Path(config.out) if config.out else Path("runs", datetime.now().strftime("%Y%m%d-%H%M%S"))
    if group.leads and (out / "config.toml").exists():
        raise UsageError(f"{out} holds a run already; continue it with --resume {out}, or give another --out")
    config = backbone.settle(config)
    data = load(config)
    config = group.settle(config.for_images(len(data.parts["train"])), given=config.batch_size)
    if group.leads:
        out.mkdir(parents=True, exist_ok=True)
        options.write(config.relocatable(), out / "config.toml")
    try:
        return _run(config, data, out, group)
    except (UsageError, ModelError):
        if group.leads and not (out / "checkpoint").exists():  # weights that can't be had leave no run behind
            (out / "config.toml").unlink()
        raise


def resume(out: Path) -> Result:
    """Go on with the run in `out` after its last complete epoch; one that was published is left as it is."""
    if not (out / "config.toml").exists():
        raise ModelError(f"{out} holds no run to resume (no config.toml)")
    document = record.read(out)
    if document and document["model"]["published"] and document["train"]["stopped"] != "interrupted":
        logger.info("%s is complete already; nothing to do", out)
        return Result(out, document, document["model"]["tag"])
    progress = Checkpoint(out).load()
    if progress:
        backend.go_on_with(progress.backend)
    group = here()
    config = options.merge({}, out / "config.toml")
    if progress and phases.ended(config, progress):
        group = group.disbanded()  # what is left takes no training
    return _run(config, load(config), out, group)


def _run(config: Config, data: Dataset, out: Path, group: Workers) -> Result:
    described = environment.describe()
    checked = of_training(data, config, out) if group.count == 1 else None
    environment.start_keras(config.seed)
    join(group)
    described |= backend.describe() | ({"workers": group.count} if group.count > 1 else {})
    model, progress = _train(config, data, out, group)
    checked = checked or of_training(data, config, out)  # of several workers, when no other one waits
    model = for_serving(model, config.answers_mirrored, config.moved)
    compile_for_evaluation(model, config)
    test = data.parts["test"]
    held_out = validation_batches(data)
    validation = None
    if held_out is not None:
        found = model.evaluate(held_out, verbose=0, return_dict=True)
        validation = {name: float(found[name]) for name in ("loss", "accuracy")}
    temperature, uncalibrated = _calibrate(model, data, config)
    probabilities = model.predict(batches(test, data), verbose=0)

    files = out / "model"
    document: dict[str, Any] = {
        "test": metrics.evaluate(test.labels, probabilities, data.class_names),
        "calibration": calibrated.describe(temperature, uncalibrated, test.labels, probabilities),
        "validation": validation,
        "data": data.summary,
        "checks": checked.section,
        "train": _train_section(config, progress, data),
        "model": entry.write(model, probabilities, data, config, files),
        "environment": described,
    }
    accuracy, section = document["test"]["accuracy"], document["model"]
    if accuracy < config.min_accuracy:
        section["refused"] = f"test accuracy {accuracy:.4f} is below --min-accuracy {config.min_accuracy}"
    elif config.publish:
        labels = {"task": "image-classification", "framework": "keras", "data": data.summary["name"]}
        section["tag"] = publish(config.name, files, labels, entry.metadata(config, document, test, probabilities))
        section["published"] = True
    document["explanations"], shown = explaining.explain(model, test, probabilities, data.class_names)
    record.write(out, document, data, config, probabilities, shown | checked.pictures)
    if section["refused"]:
        raise BelowMinimumAccuracy(f"not published: {section['refused']}; report: {out / 'report.html'}")
    return Result(out, document, section["tag"])


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
        model = checkpoint.load_model(progress)  # as this process's own
        checkpoint.restore_best(model, progress)
    return model, progress


def _calibrate(model: Any, data: Dataset, config: Config) -> tuple[float, str | None]:
    if not config.calibrate:
        return 1.0, "switched off"
    if config.refit:
        return 1.0, "with --refit no image was held out to fit a temperature on"
    validation = data.parts["validation"]
    return calibration.calibrate(model, batches(validation, data), validation.labels)


def _train_section(config: Config, progress: Progress, data: Dataset) -> dict[str, Any]:
    images = progress.epochs * progress.images_an_epoch
    return {
        "epochs": progress.epochs,
        "best_epoch": progress.best_epoch,
        "stopped": progress.stopped,
        "seconds": progress.seconds,
        "images_per_second": images / progress.seconds if progress.seconds else None,
        "history": progress.history,
        "backbone": backbone.describe(config),
        "phases": phases.report(progress),
        "config": asdict(config) | config.augmentation | {"balance": data.balance},
    }
