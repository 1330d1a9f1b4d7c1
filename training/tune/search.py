"""Search for options, from folder to report: the order of the steps. Each step has its own module."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from training import environment, folders
from training.config import NONE, Config
from training.data.dataset import load
from training.data.locations import data_name, keep_outside
from training.errors import Interrupted, ModelError, UsageError
from training.progress import Bar, console
from training.report.document import Environment
from training.report.study_document import Retrained, StudyReport, Trial
from training.tune import crew, record, report, space, storage, table
from training.tune import study as studies
from training.tune.plan import Plan

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from training.steps import Result

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """The options of the command line; `fixed` are the training options given there, which aren't searched."""

    config: Config
    fixed: frozenset[str]
    space: Path
    search: str
    trials: int
    processes: int
    storage: str | None
    study: str | None
    retrain: bool


def search(request: Request, show: Callable[[StudyReport], None]) -> Result | None:
    """Begin or resume a search; `show` gets the content of study.json.

    Returns:
        The result of retraining the best trial, if that was asked for.

    Raises:
        TrainingError: see `training.errors`. `Interrupted` is raised after the report is written.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    chosen = space.read(request.space).without(request.fixed)
    config = request.config
    if config.has_backbone:
        raise UsageError("a search trains networks from scratch; leave out --backbone")
    config = replace(config, backbone=NONE)
    out = Path(config.out) if config.out else Path("runs", f"tune-{data_name(config).replace('/', '-')}")
    url = storage.address(request.storage, out)
    if storage.is_shared(url) and not request.study:
        raise UsageError("--study NAME: a database holds many studies; name yours")
    if request.search == "grid":
        chosen.grid()  # reports its mistakes before images are decoded
    keep_outside(out, config)
    if request.retrain:
        from training.steps import check_store

        check_store(config)
    data = load(config)
    plan = Plan(
        replace(config.for_images(len(data.parts["train"])), out=None),
        chosen,
        request.search,
        request.trials,
        request.processes,
        out,
        url,
        request.study or "study",
        data.summary["fingerprint"],
    )
    with folders.claimed(out, "tune"), storage.problems(url):
        study = studies.begin(plan, storage.connect(url))
        interrupted = _run(plan, study)
        found = record.document(plan, study, data.summary, Environment(**environment.describe()))
        report.write(out, found)
        show(found)
        console.print(f"Report: {out / 'report.html'}", markup=False)
        done, wanted = found.study.finished, found.study.wanted
        if interrupted and (done < wanted or request.retrain):
            raise Interrupted(f"stopped after {done} of {wanted} trials; the same command resumes the search")
        if found.best is None:
            errors = [trial.error for trial in found.trials if trial.error]
            raise ModelError(f"no trial was completed: {errors[-1] if errors else 'none has ended'}")
        return _retrain(plan, found) if request.retrain else None


def _run(plan: Plan, study: Study) -> bool:
    """Do the trials; return whether the user ended the search early."""
    trials = study.get_trials(deepcopy=False)
    ended = sum(trial.state.is_finished() for trial in trials) - len(studies.replaced(trials))
    logger.info(
        "%s search over %d options: %d trials, the default configuration first%s",
        plan.search,
        len(plan.space.dimensions),
        studies.wanted(plan),
        f"; {ended} are done already" if ended else "",
    )
    if not studies.outstanding(plan, trials) and not studies.running(trials):
        return False
    with Bar("Trials", studies.wanted(plan)) as bar:
        watch = _Watch(plan, study, bar)
        try:
            return crew.run(plan, study, watch.look)
        except Interrupted:
            watch.look()
            return True


class _Watch:
    """Shows each trial that ends, on any machine."""

    def __init__(self, plan: Plan, study: Study, bar: Bar) -> None:
        self._plan, self._study, self._bar = plan, study, bar
        self._said: set[int] = set()
        self._best = float("inf")
        self._waiting = False
        self._ended(self._trials())

    def look(self) -> None:
        """Print a line for each trial that has ended since the last look, and once for whose trials this one waits."""
        trials = self._trials()
        for trial, better in self._ended(trials):
            console.print(table.line(trial) + ("  *" if better else ""), markup=False)
        best = f"best val_loss {self._best:.4f}" if self._best < float("inf") else ""
        self._bar.show(len(self._said), best)
        names = studies.running(trials)
        foreign = [name for name in names if name and not crew.is_own(name)]
        idle = foreign == names and not studies.outstanding(self._plan, trials)
        if foreign and idle and not self._waiting:
            self._waiting = True
            console.print(f"Waiting for the trials of other processes: {', '.join(foreign)}", markup=False)

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _ended(self, trials: list[FrozenTrial]) -> list[tuple[Trial, bool]]:
        """Return the trials that have ended since the last call, and whether each is the best so far."""
        gone = studies.replaced(trials) | self._said
        found = []
        for trial in trials:
            if not trial.state.is_finished() or trial.number in gone:
                continue
            shown = record.of_trial(trial)
            loss = float("inf") if shown.val_loss is None else shown.val_loss
            better = loss < self._best
            self._best = min(loss, self._best)
            self._said.add(trial.number)
            found.append((shown, better))
        return found


def _retrain(plan: Plan, found: StudyReport) -> Result:
    from training.tune.retrain import retrain

    best = next(trial for trial in found.trials if trial.number == found.best)
    logger.info("training the configuration of trial %d on train and validation images", best.number)
    result = retrain(plan, best)
    retrained = Retrained(
        tag=result.tag,
        report=f"{result.out.name}/report.html",
        accuracy=result.report.test.accuracy,
        images=result.report.test.images,
    )
    report.write(plan.out, replace(found, retrained=retrained))
    return result
