"""The best trial's configuration, trained on train and validation images alike, and published like any other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from training import train
from training.tune.plan import Plan


def retrain(plan: Plan, best: dict[str, Any]) -> train.Result:
    """Train the trial `best` (of study.json) anew, or go on with that.

    With nothing held out there is no best epoch to find: it is trained for as many as the trial's best had.
    Only this evaluation meets the test part.

    Raises:
        TrainingError: as of `train`.
    """
    out = plan.out / f"trial-{best['number']:04}"
    if (out / "config.toml").exists():
        return train.resume(out)
    chosen = {} if best["baseline"] else best["params"]
    return train.train(replace(plan.config, **chosen, epochs=best["best_epoch"], refit=True, out=str(out)))
