"""Train an image classifier on a folder of labelled images and publish it to the BentoML model store.

From Python, `train(Config(data="photos"))` does what `python -m training --data photos` does (docs/training.md).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from model_format import usage_reports

if TYPE_CHECKING:
    from training.config import Config
    from training.errors import TrainingError
    from training.steps import Result, resume, train

__all__ = ["Config", "Result", "TrainingError", "resume", "train"]

_MODULES = {"Config": "config", "Result": "steps", "TrainingError": "errors", "resume": "steps", "train": "steps"}

usage_reports.switch_off()


def __getattr__(name: str) -> Any:
    """Import on first use, because each decoder process imports this package and needs none of them."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
