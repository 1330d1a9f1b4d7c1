"""The pictures of a report, as PNG bytes. Draws what it is given; measures and writes nothing."""

from __future__ import annotations

from training.pictures.balance import class_balance
from training.pictures.confusion import confusion_matrix
from training.pictures.evaluation import of_evaluation
from training.pictures.history import learning_curves
from training.pictures.images import explanations, mistakes, sample_images
from training.pictures.reliability import reliability_diagram
from training.pictures.roc import roc_curves

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
