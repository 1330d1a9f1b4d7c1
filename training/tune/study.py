"""Begin or resume a study in its storage, choose the next trial, and queue trials again whose process is gone.

Trial 0 is the default configuration. Trains nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from training.errors import ModelError
from training.options import REMOVED
from training.tune.plan import Plan
from training.tune.storage import again, alone, is_shared, shown

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

BASELINE, WORKER, ERROR = "baseline", "worker", "error"
"""Attributes of a trial: whether it is the default configuration, which process runs it, why it failed."""
_IDENTITY = "identity"


def begin(plan: Plan, storage: RDBStorage) -> Study:
    """Return the study of the plan: the existing one, or a new one in which the trials known beforehand are queued.

    Raises:
        ModelError: the existing study has another space, search, configuration or other images.
    """
    import optuna

    combinations = plan.space.grid() if plan.search == "grid" else []
    with alone(plan.storage):
        study = optuna.create_study(
            study_name=plan.study,
            storage=storage,
            direction="minimize",
            pruner=_pruner(plan),
            load_if_exists=True,
        )
        known = study.user_attrs.get(_IDENTITY)
        if known is None:
            study.set_user_attr(_IDENTITY, plan.identity())
        else:
            _check(plan, known)
        # In a fixed order, so that a command that was killed here can be resumed.
        queued = len(study.get_trials(deepcopy=False))
        for params in [None, *combinations][queued:]:
            if params is None:
                default = plan.space.values_of(plan.config)
                study.enqueue_trial(default or {}, user_attrs={BASELINE: True})
            else:
                study.enqueue_trial(params)
        if not is_shared(plan.storage):
            # --out is locked, so no other process works on the file.
            requeue(study, lambda trial: True)
    return study


def open_(plan: Plan, storage: RDBStorage) -> Study:
    """Return the study that `begin` created."""
    import optuna

    return optuna.load_study(study_name=plan.study, storage=storage, pruner=_pruner(plan))


def _check(plan: Plan, known: dict[str, Any]) -> None:
    own = plan.identity()
    where = f"study {plan.study} in {shown(plan.storage)} was started with"
    advice = "start a new study with another --study or --out"
    if known["data"] != own["data"]:
        raise ModelError(f"{where} other images; {advice}")
    if known["search"] != own["search"]:
        raise ModelError(f"{where} --search {known['search']}, not {own['search']}; {advice}")
    if known["space"] != own["space"]:
        names = [*own["space"], *known["space"]]
        name = next(name for name in names if known["space"].get(name) != own["space"].get(name))
        raise ModelError(f"{where} another space ({name}: {known['space'].get(name, 'not searched')}); {advice}")
    removed = {name: off for name, off in REMOVED.items() if name in known["options"]}
    for name, value in (removed | own["options"]).items():
        before = known["options"].get(name)
        if before != value:
            raise ModelError(f"{where} {name} = {before}, not {value}; {advice}")


def sampler(plan: Plan, number: int) -> BaseSampler:
    """Return the sampler for the parameters of the next trial, after `number` others.

    Its random numbers depend on the seed and the trial alone: they don't repeat when a search is resumed, and don't
    depend on how many processes share it.
    """
    import numpy as np
    from optuna.samplers import RandomSampler, TPESampler

    seed = int(np.random.SeedSequence([plan.config.seed, number]).generate_state(1)[0])
    # All trials of a grid are queued, so nothing is left to choose.
    return RandomSampler(seed=seed) if plan.search in ("random", "grid") else TPESampler(seed=seed)


def _pruner(plan: Plan) -> BasePruner:
    from optuna.pruners import HyperbandPruner, NopPruner

    if plan.search != "hyperband":
        return NopPruner()
    epochs = plan.config.epochs or 1
    # With a warm-up, fewer than three epochs say nothing about a trial.
    return HyperbandPruner(min_resource=min(3, epochs), max_resource=epochs, reduction_factor=3)


def wanted(plan: Plan) -> int:
    """Return the number of trials wanted, including the default configuration."""
    return 1 + (len(plan.space.grid()) if plan.search == "grid" else plan.trials)


def begun(trials: list[FrozenTrial]) -> int:
    """Return how many of the wanted trials have begun; a repeated trial counts once."""
    return sum(not is_retry(trial) for trial in trials)


def is_retry(trial: FrozenTrial) -> bool:
    """Whether this trial repeats one whose process was killed."""
    return "failed_trial" in trial.system_attrs  # Optuna's own; its method for reading it emits a warning


def replaced(trials: list[FrozenTrial]) -> set[int]:
    """Return the numbers of the trials that were lost and are repeated."""
    return {number for trial in trials for number in trial.system_attrs.get("retry_history", [])}


def outstanding(plan: Plan, trials: list[FrozenTrial]) -> bool:
    """Whether any trial has yet to begin."""
    from optuna.trial import TrialState

    return any(trial.state == TrialState.WAITING for trial in trials) or begun(trials) < wanted(plan)


def running(trials: list[FrozenTrial]) -> list[str]:
    """Return the processes, of any machine, that do a trial; an empty name for one that has just taken its trial."""
    from optuna.trial import TrialState

    return [str(trial.user_attrs.get(WORKER, "")) for trial in trials if trial.state == TrialState.RUNNING]


def requeue(study: Study, lost: Callable[[FrozenTrial], bool]) -> int:
    """Mark the running trials that are `lost` as failed, and queue them again. The caller holds the lock.

    Returns:
        How many trials were lost.
    """
    from optuna.trial import TrialState

    queue, count = again(), 0
    trials = study.get_trials()
    gone = replaced(trials)
    for trial in trials:
        # A process names itself before it releases the lock; without a name it was killed in between.
        if trial.state == TrialState.RUNNING and (WORKER not in trial.user_attrs or lost(trial)):
            study.tell(trial.number, state=TrialState.FAIL)
            queue(study, trial)
            count += 1
        # A kill between these two steps, or a lost connection, leaves a failed trial that is not at fault.
        elif trial.state == TrialState.FAIL and ERROR not in trial.user_attrs and trial.number not in gone:
            queue(study, trial)
    return count
