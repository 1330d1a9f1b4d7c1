"""Collect what a study has found into one document, which table, pictures and page are made from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.report.document import Environment
from training.report.study_document import (
    Choices,
    Comparison,
    Course,
    Range,
    SearchedData,
    StudyReport,
    Trial,
)
from training.tune import study as studies
from training.tune.plan import Plan
from training.tune.space import Dimension
from training.tune.storage import RETRIES, shown

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_FIGURES = ("epochs", "best_epoch", "val_accuracy", "parameters", "seconds")


def document(plan: Plan, study: Study, data: dict[str, Any], described: Environment) -> StudyReport:
    """Return the content of study.json.

    Args:
        plan: the search.
        study: as it stands.
        data: the summary of the images; its figures of the test part are left out.
        described: the environment.
    """
    found = study.get_trials(deepcopy=False)
    gone = studies.replaced(found)
    trials = [of_trial(trial) for trial in found if trial.number not in gone and trial.state.name != "WAITING"]
    best = min((trial for trial in trials if trial.state == "complete"), key=_loss, default=None)
    baseline = next((trial for trial in trials if trial.baseline), None)
    return StudyReport(
        study=Course(
            name=plan.study,
            search=plan.search,
            storage=shown(plan.storage),
            wanted=studies.wanted(plan),
            finished=sum(trial.state != "running" for trial in trials),
            seconds=sum(trial.seconds or 0 for trial in trials),
            epochs=plan.config.epochs,
        ),
        data=SearchedData(
            name=data["name"],
            fingerprint=data["fingerprint"],
            classes=len(data["classes"]),
            images={part: sum(data["splits"][part].values()) for part in ("train", "validation")},
        ),
        space={name: _dimension(one) for name, one in plan.space.dimensions.items()},
        default=plan.space.values_of(plan.config) or {},
        trials=trials,
        baseline=baseline.number if baseline else None,
        best=best.number if best else None,
        comparison=comparison(baseline, best),
        importances=_importances(study),
        retrained=None,
        environment=described,
    )


def _loss(trial: Trial) -> float:
    return float("inf") if trial.val_loss is None else trial.val_loss


def _dimension(one: Dimension) -> Choices | Range:
    if one.choices:
        return Choices(list(one.choices))
    return Range(one.low, one.high, one.log, one.steps)


def comparison(baseline: Trial | None, best: Trial | None) -> Comparison:
    """Say whether the search did better than the default configuration."""
    if best is None or best.val_loss is None:
        return Comparison(better=None, text="No trial was completed.")
    if baseline is None or baseline.val_loss is None:
        return Comparison(better=None, text="The default configuration has no result to compare with.")
    default, found = baseline.val_loss, best.val_loss
    if best.number == baseline.number:
        text = f"No trial beats the default configuration, whose validation loss is {default:.4f}."
        return Comparison(better=False, text=text)
    text = f"Trial {best.number} beats the default configuration: validation loss {found:.4f} against {default:.4f}"
    lower = f" ({100 * (1 - found / default):.0f}% lower)." if default > 0 else "."
    return Comparison(better=True, text=text + lower)


def write(out: Path, report: StudyReport) -> None:
    """Write study.json, whole or not at all: on a cluster several processes may write it."""
    replace(out / "study.json", json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False).encode())


def replace(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever reads half of it."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_bytes(content)
    aside.replace(path)


def of_trial(trial: FrozenTrial) -> Trial:
    """Return Optuna's `trial` as study.json has it."""
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "RUNNING": "running"}.get(trial.state.name, "failed")
    attributes = trial.user_attrs
    error = attributes.get(studies.ERROR)
    if state == "failed" and error is None:
        error = f"its process was killed {RETRIES + 1} times (out of memory?)"
    return Trial(
        number=trial.number,
        state=state,
        baseline=bool(attributes.get(studies.BASELINE)),
        val_loss=trial.value if state == "complete" else None,
        params=dict(trial.params),
        error=error if state == "failed" else None,
        **{name: attributes.get(name) if state in ("complete", "pruned") else None for name in _FIGURES},
    )


def _importances(study: Study) -> dict[str, float]:
    """Return the fraction of each option in the differences between trials; empty where there are too few trials."""
    import math
    import warnings

    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            shares = optuna.importance.get_param_importances(study)
        except (ValueError, RuntimeError):
            return {}
    return {name: share for name, share in shares.items() if math.isfinite(share)}
