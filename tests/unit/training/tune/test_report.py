"""What a study's report says, from a study made by hand."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from rich.console import Console

from tests.reports import environment
from training.config import Config
from training.report.study_document import StudyReport, Trial
from training.tune import record, report, storage, study, table
from training.tune.plan import Plan
from training.tune.space import Dimension, Space

SPACE = Space(
    {
        "learning_rate": Dimension(float, (), 1e-4, 1e-1, True),
        "optimizer": Dimension(str, ("adam", "sgd")),
        "dropout": Dimension(float, (), 0.0, 0.5),
    }
)
DATA = {
    "name": "<b>photos</b>",
    "fingerprint": "f" * 64,
    "classes": ["a", "b"],
    "splits": {"train": {"a": 5, "b": 5}, "validation": {"a": 2, "b": 1}, "test": {"a": 1, "b": 1}},
}
LOSSES = [0.5, 0.9, 0.3, None, 0.45, 0.6, 0.7, 0.35]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> StudyReport:
    out = tmp_path_factory.mktemp("study")
    config = Config(data="photos", epochs=9).for_images(500)
    plan = Plan(config, SPACE, "random", 8, 1, out, storage.address(None, out), "study", "f" * 64)
    found = study.begin(plan, storage.connect(plan.storage))
    for number, loss in enumerate(LOSSES):
        found.sampler = study.sampler(plan, number)
        trial = found.ask()
        trial.set_user_attr(study.WORKER, "me")
        SPACE.suggest(trial)
        if loss is None:
            trial.set_user_attr(study.ERROR, "the loss is no number after epoch 2; <script>")
            found.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        figures = {"epochs": 9, "best_epoch": 7, "val_accuracy": 0.75, "parameters": 1234, "seconds": 61.0}
        for name, value in figures.items():
            trial.set_user_attr(name, value)
        found.tell(trial, loss)
    killed = found.ask()  # as a kill leaves it, right after it was begun
    assert killed.number == 8
    study.requeue(found, lambda trial: False)
    return record.document(plan, found, DATA, environment())


def test_the_document_has_the_trials_and_the_best_one(content: StudyReport) -> None:
    assert content.study.finished == 8
    assert content.study.wanted == 9
    assert (content.baseline, content.best) == (0, 2)
    assert [trial.number for trial in content.trials] == list(range(8))
    assert (content.trials[3].error or "").startswith("the loss is no number")
    assert content.data.images == {"train": 10, "validation": 3}
    assert set(content.importances) == set(SPACE.dimensions)
    assert sum(content.importances.values()) == pytest.approx(1)


def trial(number: int, loss: float | None) -> Trial:
    return Trial(number, "complete", number == 0, loss, {}, None, 9, 7, 0.75, 1234, 61.0)


@pytest.mark.parametrize(
    ("baseline", "best", "better", "text"),
    [
        (trial(0, 0.5), trial(2, 0.3), True, "Trial 2 beats the default configuration: validation loss 0.3000 against"),
        (trial(0, 0.5), trial(0, 0.5), False, "No trial beats the default configuration, whose validation loss is"),
        (trial(0, None), trial(2, 0.3), None, "The default configuration has no result to compare with."),
        (None, None, None, "No trial was completed."),
    ],
)
def test_the_comparison_says_whether_the_search_did_better(
    baseline: Trial | None, best: Trial | None, better: bool | None, text: str
) -> None:
    said = record.comparison(baseline, best)
    assert said.better is better
    assert said.text.startswith(text)


def test_the_page_stands_alone_and_escapes_what_it_is_given(content: StudyReport, tmp_path: Path) -> None:
    page = report.write(tmp_path, content).read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "history.png",
        "importances.png",
        "parallel_coordinates.png",
        "report.html",
        "study.json",
    ]
    assert page.count("data:image/png;base64,") == 3
    assert "Trial 2 beats the default configuration: validation loss 0.3000 against 0.5000 (40% lower)." in page
    assert "&lt;b&gt;photos&lt;/b&gt;" in page
    assert "<b>photos" not in page
    assert "<script>" not in page
    assert "8 of 9" in page
    assert "the same command resumes it" in page


def test_a_study_without_a_result_has_a_page_too(content: StudyReport, tmp_path: Path) -> None:
    comparison = record.comparison(None, None)
    none = replace(content, trials=content.trials[3:4], best=None, baseline=None, importances={}, comparison=comparison)
    page = report.write(tmp_path, none).read_text()
    assert "No trial was completed." in page
    assert "data:image/png" not in page


def test_the_table_has_the_best_first_and_the_verdict_last(content: StudyReport) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table.table(content))
    lines = [line for line in console.export_text().splitlines() if line.strip()]
    assert [int(line.split()[0]) for line in lines[2:-1]] == [2, 7, 4, 0, 5, 6, 1]
    assert "the default: learning_rate 0.002, optimizer adam, dropout 0.1" in lines[5]
    assert lines[-1].startswith("7 complete, 1 failed. Trial 2 beats")
    assert table.line(content.trials[3]).startswith("Trial   3  failed: the loss is no number after epoch 2")
