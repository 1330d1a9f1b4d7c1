"""What a study has found, as one document: the one input of table, pictures and report. Pure but for the files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.tune import study as studies
from training.tune.plan import Plan
from training.tune.storage import RETRIES, shown

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_FIGURES = ("epochs", "best_epoch", "val_accuracy", "parameters", "seconds")


def document(plan: Plan, study: Study, data: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    """Return the content of study.json.

    Args:
        plan: the search.
        study: as it stands.
        data: the summary of the images; what it says of the test part is left out.
        described: the environment.
    """
    found = study.get_trials(deepcopy=False)
    gone = studies.replaced(found)
    trials = [of_trial(trial) for trial in found if trial.number not in gone and trial.state.name != "WAITING"]
    finished = [trial for trial in trials if trial["state"] != "running"]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    best = min(complete, key=lambda trial: trial["val_loss"], default=None)
    baseline = next((trial for trial in trials if trial["baseline"]), None)
    default = plan.space.values_of(plan.config) or {}
    return {
        "study": {
            "name": plan.study,
            "search": plan.search,
            "storage": shown(plan.storage),
            "wanted": studies.wanted(plan),
            "finished": len(finished),
            "seconds": sum(trial["seconds"] or 0 for trial in trials),
            "epochs": plan.config.epochs,
        },
        "data": {
            "name": data["name"],
            "fingerprint": data["fingerprint"],
            "classes": len(data["classes"]),
            "images": {part: sum(data["splits"][part].values()) for part in ("train", "validation")},
        },
        "space": plan.space.document(),
        "default": default,
        "trials": trials,
        "baseline": baseline and baseline["number"],
        "best": best and best["number"],
        "comparison": comparison(baseline, best),
        "importances": _importances(study),
        "retrained": None,
        "environment": described,
    }


def comparison(baseline: dict[str, Any] | None, best: dict[str, Any] | None) -> dict[str, Any]:
    """Say whether the search did better than the default configuration: "better" (or None) and "text"."""
    if best is None:
        return {"better": None, "text": "No trial was completed."}
    if baseline is None or baseline["val_loss"] is None:
        return {"better": None, "text": "The default configuration has no result to compare with."}
    default, found = baseline["val_loss"], best["val_loss"]
    if best["number"] == baseline["number"]:
        text = f"No trial beats the default configuration, whose validation loss is {default:.4f}."
        return {"better": False, "text": text}
    text = f"Trial {best['number']} beats the default configuration: validation loss {found:.4f} against {default:.4f}"
    lower = f" ({100 * (1 - found / default):.0f}% lower)." if default > 0 else "."
    return {"better": True, "text": text + lower}


def write(out: Path, content: dict[str, Any]) -> None:
    """Write study.json, whole or not at all: on a cluster several processes may."""
    replace(out / "study.json", json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False).encode())


def replace(path: Path, content: bytes) -> None:
    """Write a file so that nobody sees half of it."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_bytes(content)
    aside.replace(path)


def of_trial(trial: FrozenTrial) -> dict[str, Any]:
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "RUNNING": "running"}.get(trial.state.name, "failed")
    attributes = trial.user_attrs
    error = attributes.get(studies.ERROR)
    if state == "failed" and error is None:
        error = f"its process was killed {RETRIES + 1} times (out of memory?)"
    return {
        "number": trial.number,
        "state": state,
        "baseline": bool(attributes.get(studies.BASELINE)),
        "val_loss": trial.value if state == "complete" else None,
        "params": dict(trial.params),
        "error": error if state == "failed" else None,
    } | {name: attributes.get(name) if state in ("complete", "pruned") else None for name in _FIGURES}


def _importances(study: Study) -> dict[str, float]:
    """Return each option's share in the differences between trials; empty where there are too few."""
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
