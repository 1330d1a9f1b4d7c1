"""One training run from folder to stored model: the order of the steps, each of which has its own module."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

import imaging
from training import backend, environment, options
from training.checks.run import of_training
from training.config import Config
from training.data.dataset import Dataset, Part, load
from training.data.imbalance import class_weights
from training.distributed.workers import Workers, here, join, part_from, shares
from training.errors import BelowMinimumAccuracy, Interrupted, ModelError, UsageError
from training.export import calibration, golden, onnx_model
from training.export.baseline import baseline
from training.export.publish import publish
from training.input.augment import Augmenter
from training.input.pruning import Pruner
from training.loop import phases
from training.loop.checkpoint import Checkpoint, Progress
from training.loop.compile import compile_for_evaluation
from training.network import backbone
from training.network.served import for_serving
from training.report import calibration as calibrated
from training.report import explaining, metrics, record

logger = logging.getLogger(__name__)

_MOST_INT8_LOSS = 0.005
"""The int8 form is kept if it loses no more test accuracy than this."""


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
        backend.resume_with(progress.backend)
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
    held_out = _held_out(data, config)
    validation = None
    if held_out is not None:
        found = model.evaluate(held_out, verbose=0, return_dict=True)
        validation = {name: float(found[name]) for name in ("loss", "accuracy")}
    temperature, uncalibrated = _calibrate(model, data, config)
    probabilities = model.predict(_batches(test, data, config), verbose=0)

    files = out / "model"
    document: dict[str, Any] = {
        "test": metrics.evaluate(test.labels, probabilities, data.class_names),
        "calibration": calibrated.describe(temperature, uncalibrated, test.labels, probabilities),
        "validation": validation,
        "data": data.summary,
        "checks": checked.section,
        "train": _train_section(config, progress, data),
        "model": _export(model, probabilities, data, config, files),
        "environment": described,
    }
    accuracy, section = document["test"]["accuracy"], document["model"]
    if accuracy < config.min_accuracy:
        section["refused"] = f"test accuracy {accuracy:.4f} is below --min-accuracy {config.min_accuracy}"
    elif config.publish:
        labels = {"task": "image-classification", "framework": "keras", "data": data.summary["name"]}
        section["tag"] = publish(
            config.name, files, labels, _metadata(config, document) | {"baseline": baseline(test, probabilities)}
        )
        section["published"] = True
    document["explanations"], shown = explaining.explain(model, test, probabilities, data.class_names)
    record.write(out, document, data, config, probabilities, shown | checked.pictures)
    if section["refused"]:
        raise BelowMinimumAccuracy(f"not published: {section['refused']}; report: {out / 'report.html'}")
    return Result(out, document, section["tag"])


def _train(config: Config, data: Dataset, out: Path, group: Workers) -> tuple[Any, Progress]:
    train_batches = training_batches(data.parts["train"], data, config, group)
    checkpoint = Checkpoint(out, writes=group.leads)
    progress = checkpoint.load() or Progress(data.summary["fingerprint"], backend.describe()["backend"])
    group.agree(config, data.summary["fingerprint"], progress.epochs)
    if progress.fingerprint != data.summary["fingerprint"]:
        raise ModelError(f"the images have changed since {out} was begun; start a new run")
    held_out = _held_out(data, config, shares() // group.count)
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
    return calibration.calibrate(model, _batches(validation, data, config), validation.labels)


def training_batches(part: Part, data: Dataset, config: Config, group: Workers = Workers()) -> Any:  # noqa: B008
    """Return `part` as what `fit` trains on: shuffled, augmented, balanced; `config` settled by `for_images`."""
    from training.input.batches import Batches

    devices = shares()
    if (config.batch_size or 1) % devices:
        raise UsageError(f"--batch-size {config.batch_size} can't be shared by {devices} devices; use a multiple")
    if config.data_pruning and devices > 1:
        raise UsageError("--data-pruning needs one worker with one device, to know all losses; give --data-pruning 0")
    counts = np.bincount(part.labels, minlength=len(data.class_names))
    return Batches(
        part.images,
        part.rows,
        part.labels,
        len(data.class_names),
        config.batch_size or 1,
        seed=config.seed,
        augmenter=Augmenter(config.augmentation, config.image_size),
        class_weights=class_weights(counts) if data.balance == "class-weights" else None,
        oversample=data.balance == "oversample",
        pruner=Pruner(config.data_pruning, len(part)) if config.data_pruning else None,
        pruned_epochs=config.pruned_epochs,
        share=(group.index, group.count),
        multiple=devices,
    )


def _held_out(data: Dataset, config: Config, copies: int = 1) -> Any:
    """The validation part's images, or None where they are trained on."""
    return None if config.refit else _batches(data.parts["validation"], data, config, copies)


def _batches(part: Part, data: Dataset, config: Config, copies: int = 1) -> Any:
    """The images of `part` as they are, in order; with `copies` of each, every device of a worker gets all."""
    from training.input.batches import Batches

    rows, labels = np.repeat(part.rows, copies), np.repeat(part.labels, copies)
    return Batches(part.images, rows, labels, len(data.class_names), part.batch_size * copies)


def _export(model: Any, expected: np.ndarray, data: Dataset, config: Config, files: Path) -> dict[str, Any]:
    """Write the folder that the store entry is made of; returns the report's model section."""
    test, train_part = data.parts["test"], data.parts["train"]
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    model.save(files / "model.keras")
    onnx_model.to_onnx(model, files / "model.onnx")
    fp32 = onnx_model.OnnxModel(files / "model.onnx").predict(test.batches())
    difference = onnx_model.check_equal(expected, fp32)
    forms, int8 = [fp32], None
    if config.int8:
        some = np.random.default_rng(config.seed).permutation(len(train_part))[: onnx_model.CALIBRATION_IMAGES]
        calibration = train_part.select(some)
        onnx_model.to_int8(files / "model.onnx", files / "model-int8.onnx", calibration.batches())
        quantised = onnx_model.OnnxModel(files / "model-int8.onnx").predict(test.batches())
        int8 = _int8_verdict(_accuracy(test, fp32), _accuracy(test, quantised))
        if int8["kept"]:
            forms.append(quantised)
        else:
            (files / "model-int8.onnx").unlink()
    chosen = golden.choose(test.labels, forms)
    golden.write(files / "golden", test[chosen], test.labels[chosen], fp32[chosen], data.class_names)
    return {
        "tag": None,
        "published": False,
        "refused": None,
        "parameters": int(model.count_params()),
        "files": {file.name: file.stat().st_size for file in sorted(files.glob("model*"))},
        "onnx_max_difference": difference,
        "int8": int8,
    }


def _accuracy(part: Part, probabilities: np.ndarray) -> float:
    return float((probabilities.argmax(axis=1) == part.labels).mean())


def _int8_verdict(fp32: float, int8: float) -> dict[str, Any]:
    lost = f"{100 * (fp32 - int8):.2f} points of test accuracy lost, {100 * _MOST_INT8_LOSS:.1f} allowed"
    # Accuracies are fractions with the same denominator; the margin only absorbs their rounding.
    kept = fp32 - int8 <= _MOST_INT8_LOSS + 1e-9
    logger.info("int8 form %s: %s", "kept" if kept else "dropped", lost)
    return {"kept": kept, "accuracy": int8, "accuracy_fp32": fp32, "reason": lost}


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


def _metadata(config: Config, document: dict[str, Any]) -> dict[str, Any]:
    """What the service, and whoever finds the model in a year, need to know."""
    data, about = document["data"], document["environment"]
    metadata = {
        "schema": 1,
        "class_names": data["classes"],
        "image_size": config.image_size,
        "image_policy": imaging.POLICY_VERSION,
        "data": {name: data[name] for name in ("name", "images", "splits", "fingerprint")},
        "temperature": document["calibration"]["temperature"],
        "metrics": {k: v for k, v in document["test"].items() if k != "confusion_matrix"},
        "config": asdict(config),
        "git_revision": about["git_revision"],
        "versions": about["versions"] | {"python": about["python"]},
        "int8": document["model"]["int8"] or {},
    }
    kept: dict[str, Any] = _without_none(metadata)
    return kept


def _without_none(value: Any) -> Any:
    """Leave out what is undefined (the F1 of a class without test images, say): BentoML stores no None."""
    if isinstance(value, dict):
        return {name: _without_none(entry) for name, entry in value.items() if entry is not None}
    return value
