"""Draw the pictures of a report, as PNG bytes. Measures and writes nothing."""

from __future__ import annotations

from training.report.pictures.balance import class_balance
from training.report.pictures.confusion import confusion_matrix
from training.report.pictures.evaluation import of_evaluation
from training.report.pictures.history import learning_curves
from training.report.pictures.images import explanations, mistakes, sample_images
from training.report.pictures.reliability import reliability_diagram
from training.report.pictures.roc import roc_curves

__all__ = [
    "class_balance",
    "confusion_matrix",
    "explanations",
    "learning_curves",
    "mistakes",
    "of_evaluation",
    "reliability_diagram",
    "roc_curves",
    "sample_images",
]
