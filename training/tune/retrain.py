"""Train the best trial's configuration on train and validation images, and publish the model like any other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from training.report.study_document import Trial
from training.steps import Result, resume, train
from training.tune.plan import Plan


def retrain(plan: Plan, best: Trial) -> Result:
    """Train the configuration of the trial `best` from scratch, or resume that training.

    Without validation images no best epoch can be found: the training has as many epochs as the trial's best one.
    Only its evaluation reads the test part.

    Raises:
        TrainingError: as of `train`.
    """
    out = plan.out / f"trial-{best.number:04}"
    if (out / "config.toml").exists():
        return resume(out)
    chosen: dict[str, Any] = {} if best.baseline else best.params
    return train(replace(plan.config, **chosen, epochs=best.best_epoch, refit=True, out=str(out)))
