"""Run one process of a search: take one trial after another until none is left. It prints nothing to the terminal."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

from training.errors import TrainingError, one_line
from training.tune import study as studies
from training.tune.plan import Plan
from training.tune.storage import alone, connect, is_shared, problems

if TYPE_CHECKING:
    from optuna import Study, Trial

_PAUSE = 2.0
"""Seconds between looks at trials that other processes run."""


@dataclass(frozen=True)
class Failure:
    """Why a process gave up."""

    message: str
    exit_code: int


def work(plan: Plan, name: str, place: int, stop: Any, answers: Any) -> None:
    """Do trials until none is left, or `stop` is set.

    Args:
        plan: the search.
        name: the name of this process, unique among all machines.
        place: the number of this process on this machine, from 0.
        stop: an event; no trial is begun once it is set.
        answers: the connection for a `Failure`, if there is one.
    """
    _settle_down(plan, name, place)
    try:
        _work(plan, name, stop)
    except TrainingError as error:
        answers.send(Failure(str(error), error.exit_code))
        sys.exit(1)
    except Exception as error:
        logging.exception("the search failed")
        answers.send(Failure(f"{type(error).__name__}: {one_line(error)}", 1))
        sys.exit(1)


def _settle_down(plan: Plan, name: str, place: int) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    # The output of training, Keras and TensorFlow would clutter the terminal.
    log = os.open(plan.out / f"worker-{place}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logging.basicConfig(level=logging.INFO, format=f"{name} %(message)s", stream=sys.stderr)
    cores = sorted(os.sched_getaffinity(0))
    if 1 < plan.processes <= len(cores):
        # Otherwise each process would start one thread per core, and all would wait for each other.
        os.sched_setaffinity(0, cores[place :: plan.processes])
    if plan.processes > 1:
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def _work(plan: Plan, name: str, stop: Any) -> None:
    import optuna

    from training.tune.trial import Objective

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    objective = Objective(plan)
    with problems(plan.storage):
        study = studies.open_(plan, connect(plan.storage))
        while not stop.is_set():
            with ExitStack() as claim:
                claim.enter_context(alone(plan.storage))
                studies.requeue(study, lambda trial: False)
                trials = study.get_trials(deepcopy=False)
                if studies.outstanding(plan, trials):
                    _next(plan, study, name, objective, studies.begun(trials), claim)
                    continue
                if not studies.running(trials):
                    return
                if is_shared(plan.storage):
                    optuna.storages.fail_stale_trials(study)
            # A running trial may still be lost; this process would repeat it then.
            stop.wait(_PAUSE)


def _next(plan: Plan, study: Study, name: str, objective: Any, number: int, claim: ExitStack) -> None:
    """Do one trial; hold the lock until the trial carries this process's name."""
    from optuna.exceptions import UpdateFinishedTrialError

    from training.tune.trial import TrialFailed

    def run(trial: Trial) -> float:
        trial.set_user_attr(studies.WORKER, name)
        value: float = objective(trial, claim.close)
        return value

    study.sampler = studies.sampler(plan, number)
    try:
        study.optimize(run, n_trials=1, catch=(TrialFailed,))
    except UpdateFinishedTrialError:
        # This process gave no sign of life for too long, so another one repeats the trial.
        logging.warning("another process repeats this trial")
