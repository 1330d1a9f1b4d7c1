"""Point out, in plain sentences, what deserves a look in a report. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterator

from training.report.check_document import RejectedFile
from training.report.check_findings import of_checks
from training.report.display import percent, printable
from training.report.document import Data, Report, Training, TrainingReport
from training.report.figures import Evaluation
from training.report.metrics import wilson_interval

_FEW_IMAGES = 200
_WEAK_RECALL = 0.5
_LARGE_CALIBRATION_ERROR = 0.1
_LARGE_GAP = 0.1


def findings(report: Report) -> list[str]:
    """Return what deserves a look before the model is trusted, the most important first; often nothing."""
    if isinstance(report, TrainingReport):
        return [
            *_of_test(report.test),
            *_of_train(report.train),
            *_of_data(report.data),
            *_of_rejected(report.data.rejected),
            *of_checks(report.checks),
        ]
    return [*_of_test(report.test), *_of_rejected(report.data.rejected)]


def _of_test(test: Evaluation) -> Iterator[str]:
    low, high = wilson_interval(test.accuracy, test.images)
    images = {name: figures.images for name, figures in test.per_class.items()}
    most = max(images, key=lambda name: images[name])
    guess = images[most] / test.images
    if low <= guess < 1:
        yield (
            f"The accuracy of {percent(test.accuracy)} is not clearly better than always answering "
            f"“{printable(most)}”, which is right on {percent(guess)} of the test images."
        )
    if test.images < _FEW_IMAGES:
        yield (
            f"With {test.images:,} test images, the accuracy is only known to lie between {percent(low)} "
            f"and {percent(high)} (95% confidence)."
        )
    absent = [name for name, count in images.items() if not count]
    if absent:
        yield f"There are no test images of {_some(absent)}, so nothing shows how well the model recognises them."
    matrix = zip(*test.confusion_matrix, strict=True)
    never = [name for name, column in zip(images, matrix, strict=True) if images[name] and not any(column)]
    if never:
        yield f"Never predicted: {_some(never)}."
    weak = [
        name
        for name, figures in sorted(test.per_class.items(), key=lambda item: item[1].recall or 0)
        if images[name] and name not in never and (figures.recall or 0) < _WEAK_RECALL
    ]
    if weak:
        yield f"Recognised in fewer than half of their images: {_some(weak)}."
    if test.ece > _LARGE_CALIBRATION_ERROR:
        yield (
            f"Confidence and accuracy differ by {100 * test.ece:.0f} percentage points on average: don't read the "
            "confidence as a probability."
        )


def _of_train(train: Training) -> Iterator[str]:
    if train.stopped == "interrupted":
        yield f"Training was interrupted after epoch {train.epochs}."
    elif train.stopped == "finished" and train.best_epoch == train.epochs > 1:
        yield "The last epoch was the best one: more epochs may do better."
    best = train.best_epoch - 1
    seen, held_out = train.history.get("accuracy", []), train.history.get("val_accuracy", [])
    if best < min(len(seen), len(held_out)) and seen[best] - held_out[best] > _LARGE_GAP:
        yield (
            f"Training accuracy is {100 * (seen[best] - held_out[best]):.0f} percentage points above validation "
            "accuracy: the model overfits. More images, stronger augmentation or more dropout help."
        )


def _of_data(data: Data) -> Iterator[str]:
    conflicts = len(data.label_conflicts)
    if conflicts:
        yield f"{_count(conflicts, 'image lies', 'images lie')} in the folders of several classes at once."
    if data.leaked:
        left = _count(data.leaked, "training image was", "training images were")
        yield f"{left} left out: the test folder has the same."


def _of_rejected(rejected: list[RejectedFile]) -> Iterator[str]:
    if rejected:
        yield f"{_count(len(rejected), 'file', 'files')} could not be used."


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(f"“{printable(name)}”" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
