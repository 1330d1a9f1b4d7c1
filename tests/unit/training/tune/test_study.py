"""The study in its storage: what is queued, what is refused, what is done again, what is pruned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from training.config import Config
from training.errors import ModelError
from training.loop.checkpoint import Progress
from training.tune import search, storage, study
from training.tune.plan import Plan
from training.tune.space import Dimension, Space
from training.tune.trial import _Watched

SPACE = Space({"learning_rate": Dimension(float, (), 1e-4, 1e-1, True), "width": Dimension(int, (8, 16, 32))})


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    config = Config(data="photos", epochs=27).for_images(500)
    return Plan(config, SPACE, "random", 6, 1, tmp_path, storage.address(None, tmp_path), "study", "f" * 64)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def begun(plan: Plan) -> optuna.Study:
    return study.begin(plan, storage.connect(plan.storage))


def work(plan: Plan, found: optuna.Study, most: int = 99) -> list[dict[str, Any]]:
    """Do trials as a worker does, without training; returns their parameters."""

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr(study.WORKER, "me")
        return float(plan.space.suggest(trial)["learning_rate"])

    for _ in range(most):
        trials = found.get_trials(deepcopy=False)
        if not study.outstanding(plan, trials):
            break
        found.sampler = study.sampler(plan, study.begun(trials))
        found.optimize(objective, n_trials=1)
    return [trial.params for trial in found.trials]


def test_the_default_configuration_is_the_first_trial(plan: Plan) -> None:
    params = work(plan, begun(plan))
    assert params[0] == {"learning_rate": 0.002, "width": 32}
    assert len(params) == study.wanted(plan) == 7


def test_a_default_configuration_outside_the_space_is_tried_nevertheless(plan: Plan) -> None:
    found = begun(replace(plan, config=replace(plan.config, width=128)))
    (first,) = found.trials
    assert first.user_attrs == {study.BASELINE: True}
    assert first.params == {}


def test_a_resumed_search_has_the_trials_of_an_uninterrupted_one(plan: Plan, tmp_path: Path) -> None:
    whole = work(plan, begun(plan))
    (tmp_path / "again").mkdir()
    other = replace(plan, storage=storage.address(None, tmp_path / "again"))
    work(other, begun(other), most=3)
    assert work(other, begun(other)) == whole
    assert len({entry["learning_rate"] for entry in whole}) == 7


def test_more_trials_are_added_to_the_earlier_ones(plan: Plan) -> None:
    whole = work(plan, begun(plan))
    more = replace(plan, trials=8)
    assert work(more, begun(more))[:7] == whole
    assert len(begun(more).trials) == 9


def test_every_combination_of_a_grid_is_queued_once(plan: Plan) -> None:
    grid = replace(
        plan, search="grid", space=Space({"width": SPACE.dimensions["width"], "depth": Dimension(int, (1, 2))})
    )
    begun(grid)
    found = begun(grid)
    assert [trial.state for trial in found.trials] == [TrialState.WAITING] * 7

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr(study.WORKER, "me")
        return float(grid.space.suggest(trial)["width"])

    while study.outstanding(grid, found.get_trials(deepcopy=False)):
        found.optimize(objective, n_trials=1)
    assert [trial.params for trial in found.trials[1:]] == grid.space.grid()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fingerprint": "0" * 64}, "was started with other images"),
        ({"search": "tpe"}, "was started with --search random, not tpe"),
        ({"space": Space({"width": Dimension(int, (8, 16))})}, "was started with another space (width: "),
        ({"space": SPACE.without({"width"})}, "was started with another space (width: "),
        ({"config": Config(data="photos", epochs=9).for_images(500)}, "was started with epochs = 27, not 9"),
    ],
)
def test_a_different_search_is_refused(plan: Plan, changes: dict[str, Any], message: str) -> None:
    begun(plan)
    with pytest.raises(ModelError) as raised:
        begun(replace(plan, **changes))
    assert message in str(raised.value)
    assert str(raised.value).endswith("start a new study with another --study or --out")


@pytest.mark.parametrize(("mixup", "refused"), [(0.0, False), (0.2, True)])
def test_a_search_begun_before_options_were_removed_is_resumed_unless_it_used_them(
    plan: Plan, mixup: float, refused: bool
) -> None:
    known = plan.identity()
    known["options"] |= {"ensemble": 1, "ema": 0.0, "mixup": mixup, "cutmix": 0.0}
    begun(plan).set_user_attr("identity", known)
    if refused:
        with pytest.raises(ModelError, match=r"was started with mixup = 0\.2, not 0\.0"):
            begun(plan)
    else:
        begun(plan)


def test_options_of_the_result_do_not_make_a_different_search(plan: Plan) -> None:
    begun(plan)
    begun(replace(plan, config=replace(plan.config, name="other", publish=False, decoders=3), processes=4))


@pytest.mark.parametrize("half_way", [False, True])
def test_a_killed_trial_is_repeated_with_its_parameters(plan: Plan, tmp_path: Path, half_way: bool) -> None:
    found = begun(plan)
    work(plan, found, most=2)
    found.sampler = study.sampler(plan, 2)
    killed = found.ask()
    killed.set_user_attr(study.WORKER, "gone")
    wanted = plan.space.suggest(killed)
    kept = [trial.value for trial in found.trials[:2]]

    if half_way:  # killed again, after the trial was given up and before it was queued
        found.tell(killed, state=TrialState.FAIL)
    again = begun(plan)
    assert again.trials[2].state == TrialState.FAIL
    assert again.trials[3].state == TrialState.WAITING
    work(plan, again)
    assert again.trials[3].params == wanted
    assert [trial.value for trial in again.trials[:2]] == kept
    done = [trial for trial in again.trials if trial.state == TrialState.COMPLETE]
    alone = replace(plan, storage=storage.address(None, tmp_path / "alone"))
    (tmp_path / "alone").mkdir()
    assert [trial.params for trial in done] == work(alone, begun(alone))
    assert len(done) == study.begun(again.trials) == study.wanted(plan)
    assert study.replaced(again.trials) == {2}


def test_a_trial_whose_process_is_killed_every_time_is_given_up(plan: Plan) -> None:
    begun(plan).ask()
    for _ in range(storage.RETRIES):
        begun(plan).ask()
    found = begun(plan)
    assert [trial.state for trial in found.trials] == [TrialState.FAIL] * (1 + storage.RETRIES)
    assert study.begun(found.trials) == 1


def test_a_trial_of_another_process_is_left_alone(plan: Plan) -> None:
    found = begun(plan)
    found.ask().set_user_attr(study.WORKER, "theirs")
    assert study.requeue(found, lambda trial: trial.user_attrs[study.WORKER] == "mine") == 0
    assert study.running(found.trials)


def test_hyperband_stops_bad_trials_early_but_never_the_default(plan: Plan) -> None:
    plan = replace(plan, config=replace(plan.config, epochs=9), search="hyperband", trials=11)
    found = begun(plan)
    measured: dict[str, float] = {}
    model = SimpleNamespace(get_metrics_result=lambda: measured, count_params=lambda: 1)

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr(study.WORKER, "me")
        baseline = bool(trial.user_attrs.get(study.BASELINE))
        plan.space.suggest(trial)
        end = 9.0 if baseline else float(trial.number % 7)
        watched, progress = _Watched(trial, baseline, 9), Progress()
        for epoch in range(1, 10):
            progress.epochs = progress.best_epoch = epoch
            measured["cross_entropy"] = end + 1 / epoch
            progress.history = {"val_accuracy": [0.5] * epoch}
            watched.save(model, progress)
        return watched.tell(model, progress)

    for number in range(12):
        found.sampler = study.sampler(plan, number)
        found.optimize(objective, n_trials=1)
    default, *others = found.trials
    assert default.state == TrialState.COMPLETE
    assert default.value == pytest.approx(9 + 1 / 9)
    pruned = [trial for trial in others if trial.state == TrialState.PRUNED]
    complete = [trial for trial in others if trial.state == TrialState.COMPLETE]
    assert pruned
    assert complete
    assert all(3 <= trial.user_attrs["epochs"] < 9 for trial in pruned)


def test_a_search_that_waits_for_the_trials_of_another_machine_names_its_process(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kind: a command that waits for another process in silence looks as if it hung."""
    found = begun(plan)
    shown: Any = SimpleNamespace(show=lambda done, note: None)
    watch = search._Watch(plan, found, shown)
    theirs = found.ask()
    theirs.set_user_attr(study.WORKER, "node2-7-0-abc")
    watch.look()
    assert "Waiting" not in capsys.readouterr().err
    while len(found.trials) < study.wanted(plan):
        found.tell(found.ask(), state=TrialState.PRUNED)
    for _ in range(2):
        watch.look()
    assert capsys.readouterr().err.count("Waiting for the trials of other processes: node2-7-0-abc\n") == 1
