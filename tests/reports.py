"""Reports made up for tests: a training on data in which the checks found nothing."""

from __future__ import annotations

import numpy as np

from model_format.layout import FILES
from training.report import document, figures, metrics
from training.report.check_document import (
    Checks,
    ClassSizes,
    Duplicates,
    Names,
    Outliers,
    RejectedFile,
    Sizes,
    SkippedLabels,
    Spread,
)
from training.report.document import EvaluationReport, TrainingReport


def evaluation(class_names: list[str]) -> figures.Evaluation:
    """Return the figures of 12 test images per class, most of them right."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(len(class_names)), 12)
    probabilities = rng.dirichlet(np.ones(len(class_names)), len(labels)) * 0.6
    probabilities[np.arange(len(labels)), labels] += 0.4
    return metrics.evaluate(labels, probabilities, class_names)


def checks(class_names: list[str]) -> Checks:
    """Return the section of checks that found nothing."""
    return Checks(
        images=36,
        seconds={"duplicates": 0.5},
        duplicates=Duplicates(0, 0, 0, 0, 0, ended_early=False, listed=[]),
        outliers=Outliers(far=0, one_colour=0, too_small=[], listed=[]),
        names=Names(own_class=0, other_class=0, telling=[], listed=[]),
        sizes=Sizes(
            sampled=36,
            width=Spread(32.0, 40.0, 48.0),
            height=Spread(32.0, 40.0, 48.0),
            bytes=Spread(900.0, 1000.0, 1100.0),
            formats={"PNG": 36},
            modes={"RGB": 36},
            enlarged=0.0,
            classes=dict.fromkeys(class_names, ClassSizes(12, 40.0, 40.0, 1000.0)),
            telling=[],
        ),
        labels=SkippedLabels("nobody asked for it"),
        suspects=0,
    )


def environment() -> document.Environment:
    return document.Environment(
        git_revision="3f1c2ab",
        python="3.11.9",
        versions={"keras": "3.15.1"},
        machine="x86_64",
        cpus=2,
        started="2026-01-12T10:11:12+00:00",
    )


def training_report(class_names: list[str]) -> TrainingReport:
    """Return a report in which every section has something to show."""
    counts = dict.fromkeys(class_names, 12)
    return TrainingReport(
        test=evaluation(class_names),
        calibration=figures.Calibration(
            temperature=1.375,
            reason=None,
            before=figures.CalibrationFigures(ece=0.0987, log_loss=0.7654),
            after=figures.CalibrationFigures(ece=0.0123, log_loss=0.5432),
        ),
        adjustment=figures.Adjustment(0.75, None, figures.Balanced(0.8123, 0.3456), figures.Balanced(0.8012, 0.4567)),
        validation=figures.Validation(loss=0.4321, accuracy=0.8765),
        data=document.Data(
            name="leaves",
            root="/data/leaves",
            classes=class_names,
            images=1234,
            image_size=48,
            resize="stretch",
            splits={"train": counts, "validation": counts, "test": counts},
            imbalance=document.Imbalance(2.5, "class-weights", dict.fromkeys(class_names, 1.25)),
            duplicates=17,
            label_conflicts=[document.LabelConflict(["a/1.png", "b/2.png"], class_names[:2])],
            rejected=[RejectedFile("a/broken.jpg", "corrupt_image", "truncated JPEG image")],
            leaked=3,
            excluded=0,
            fingerprint="0123456789abcdef" * 4,
            decode_seconds=12.34,
            cached=False,
        ),
        checks=checks(class_names),
        train=document.Training(
            epochs=20,
            best_epoch=2,
            stopped="early_stopping",
            seconds=192.2,
            images_per_second=8123.4,
            history={
                "loss": [1.0, 0.5, 0.4],
                "accuracy": [0.5, 0.7, 0.8],
                "val_loss": [1.1, 0.6, 0.7],
                "val_accuracy": [0.4, 0.65, 0.6],
                "learning_rate": [0.002, 0.001, 0.0],
            },
            backbone=None,
            phases=[document.Phase("all layers", 0, 20, 0.002, 290_314, 20, "early_stopping")],
            config={"optimizer": "adamw", "cache_dir": None},
        ),
        model=document.Model(
            tag="image_classifier:abc123",
            published=True,
            refused=None,
            parameters=290_314,
            files={FILES["onnx"]: 1_163_456, FILES["keras"]: 3_600_123},
            onnx_max_difference=2.4e-7,
            int8=document.Int8(kept=False, accuracy=0.9, accuracy_fp32=0.95, reason="loses 5.0 points"),
        ),
        environment=environment(),
        explanations=document.Explanations(reason=None),
        limits=figures.Limits(
            reason=None,
            images=185,
            unknown=0.0081,
            separation=figures.Separation(shuffled_pixels=0.987, shuffled_tiles=0.876),
            sets=[figures.SetFigures(promised=0.95, seen=0.961, classes=1.234, single=0.789)],
        ),
    )


def evaluation_report(class_names: list[str]) -> EvaluationReport:
    """Return the report of a stored model's evaluation."""
    return EvaluationReport(
        test=evaluation(class_names),
        data=document.EvaluatedData(
            name="others",
            root="/data/others",
            classes=class_names,
            images=12 * len(class_names),
            image_size=48,
            resize="stretch",
            splits={"test": dict.fromkeys(class_names, 12)},
            rejected=[],
        ),
        model=document.EvaluatedModel("image_classifier:abc123", "onnx"),
        environment=environment(),
    )
