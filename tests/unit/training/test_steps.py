"""The order of a training's steps: what can fail comes first, and publishing is last and once."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from tests.reports import training_report
from training import folders, options, steps
from training.config import Config
from training.errors import Interrupted, ModelError, StoreError, TrainingError, UsageError
from training.export import publish
from training.loop.checkpoint import Progress
from training.report import record
from training.tune import search
from training.tune.space import DEFAULT

TAG = "image_classifier:abc123"
CHECKPOINT = {
    "fingerprint": "1a2b",
    "epochs": 12,
    "best_epoch": 7,
    "stopped": "finished",
    "phases": [{"name": "all layers", "start": 0, "most_epochs": 12}],
}


class Began(Exception):
    """The images would be read now."""


@pytest.fixture(autouse=True)
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(config: Config) -> NoReturn:
        raise Began

    monkeypatch.setattr(steps, "load", load)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setattr(publish, "_bentoml_home", lambda: home)
    return home


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was killed after it had prepared the report of its published model."""
    out = tmp_path / "run"
    out.mkdir()
    options.write(Config(data="photos", backbone="none"), out / "config.toml")
    report = training_report(["cat", "dog"])
    record.write(out, replace(report, model=replace(report.model, published=False, tag=None)), {})
    record.prepare(out, report, {})
    return out


def test_a_run_that_was_killed_after_it_had_published_is_not_published_again(run: Path, home: Path) -> None:
    """The kind: a step after publishing fails, and each resumed run publishes one more copy."""
    (home / "models" / TAG.replace(":", "/")).mkdir(parents=True)
    assert steps.resume(run).tag == TAG
    report = record.read(run)
    assert report is not None
    assert report.model.published
    assert TAG in (run / "report.html").read_text()
    assert not list(run.glob("*.new"))


def test_a_run_that_was_killed_before_it_had_published_goes_on(run: Path, home: Path) -> None:
    with pytest.raises(Began):
        steps.resume(run)
    report = record.read(run)
    assert report is not None
    assert not report.model.published


@pytest.mark.parametrize("resumed", [False, True])
def test_a_store_that_can_take_no_model_is_found_before_the_images_are_read(
    run: Path, home: Path, tmp_path: Path, resumed: bool
) -> None:
    """The kind: what publishing needs is found missing after hours of training."""
    home.write_text("no folder")
    with pytest.raises(StoreError, match=f"the model can't be stored in {home}"):
        steps.resume(run) if resumed else steps.train(Config(data="photos", out=str(tmp_path / "new")))
    assert not (tmp_path / "new").exists()


def test_trying_the_store_leaves_nothing_in_it(home: Path) -> None:
    publish.check("image_classifier")
    assert sorted(path.name for path in home.rglob("*")) == ["image-classifier-staging-lock", "models"]


def test_a_run_that_waits_for_another_one_to_publish_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The kind: a command stands still for a lock, and says nothing."""
    caplog.set_level("INFO")
    monkeypatch.setattr("fcntl.flock", held)
    publish.check("image_classifier")
    assert caplog.messages == [f"waiting: another process publishes a model in {home}"]


def held(lock: int, how: int) -> None:
    """Take the place of `flock` for a lock that another process has, and leaves as soon as this one waits."""
    if how & fcntl.LOCK_NB:
        raise BlockingIOError


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(28, "No space left on device", "model.onnx"), TrainingError, "model.onnx: No space left on device"),
        (StoreError("the model can't be stored"), StoreError, "the model can't be stored"),
        (KeyboardInterrupt(), Interrupted, "interrupted"),
    ],
)
def test_an_error_that_a_resumed_run_gets_over_names_the_command(
    run: Path, error: BaseException, kind: type[Exception], words: str
) -> None:
    """The kind: a disk is full or a pod goes, and the user doesn't learn that the epochs are kept."""
    with pytest.raises(kind) as raised, folders.of_run(run, leads=True):
        raise error
    assert str(raised.value) == f"{words}; continue with: python -m training --resume {run}"


@pytest.mark.parametrize("free", [0, 1 << 30])
def test_a_full_disk_is_named_whatever_the_library_says(run: Path, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind: ONNX Runtime, HDF5 and protobuf each end a run on a full disk with an error of their own."""
    monkeypatch.setattr("training.folders.shutil.disk_usage", lambda folder: SimpleNamespace(free=free))
    error = RuntimeError("Fail: write")
    with pytest.raises(TrainingError if free == 0 else RuntimeError) as raised, folders.of_run(run, leads=True):
        raise error
    full = f"{run}: No space left on device; continue with: python -m training --resume {run}"
    assert str(raised.value) == (full if free == 0 else str(error))


def test_a_search_that_publishes_tries_the_store_before_its_trials(home: Path, tmp_path: Path) -> None:
    home.write_text("no folder")
    config = Config(data="photos", out=str(tmp_path / "study"))
    request = search.Request(config, frozenset(), DEFAULT, "tpe", 1, 1, None, None, retrain=True)
    with pytest.raises(StoreError, match="can't be stored"):
        search.search(request, lambda report: None)


@pytest.fixture
def finished(run: Path, home: Path) -> Path:
    """A run of 12 epochs that was published."""
    report = training_report(["cat", "dog"])
    train = replace(report.train, best_epoch=7, stopped="finished", config={"epochs": 12})
    record.write(run, replace(report, train=train), {})
    for path in run.glob("*.new"):
        path.unlink()
    options.write(Config(data="photos", backbone="none", epochs=12).relocatable(), run / "config.toml")
    (run / "checkpoint").mkdir()
    (run / "checkpoint" / "state.json").write_text(json.dumps(CHECKPOINT))
    (home / "models" / TAG.replace(":", "/")).mkdir(parents=True)
    return run


def test_a_finished_run_trains_on_if_it_gets_more_epochs(finished: Path) -> None:
    """The kind: what a run has learned can't be built upon, because it is complete for ever."""
    with pytest.raises(Began):
        steps.resume(finished, epochs=20)
    for same in (None, 12):
        assert steps.resume(finished, epochs=same).tag == TAG


def test_more_epochs_that_a_kill_cut_short_are_trained_by_a_plain_resume(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[Config] = []
    monkeypatch.setattr(steps, "load", lambda config: SimpleNamespace(summary={"fingerprint": "1a2b"}))
    monkeypatch.setattr(steps, "_run", lambda config, *rest: began.append(config))
    steps.resume(finished, epochs=20)
    steps.resume(finished)
    steps.resume(finished, epochs=20)
    assert [config.epochs for config in began] == [20, 20, 20]


@pytest.mark.parametrize(
    ("state", "epochs", "message"),
    [
        ({}, 11, "--epochs 11: RUN has 12 already; give more, or start a new run"),
        ({"stopped": ""}, 20, "RUN has not ended; resume it without --epochs first"),
        ({"stopped": "early_stopping", "epochs": 9}, 20, "RUN was ended after 9 epochs by early stopping"),
    ],
)
def test_epochs_that_can_not_be_added_are_refused(
    finished: Path, state: dict[str, Any], epochs: int, message: str
) -> None:
    (finished / "checkpoint" / "state.json").write_text(json.dumps(CHECKPOINT | state))
    before = (finished / "config.toml").read_text()
    with pytest.raises(UsageError, match=message.replace("RUN", str(finished))):
        steps.resume(finished, epochs=epochs)
    assert (finished / "config.toml").read_text() == before


@pytest.mark.parametrize(("best", "known"), [(7, TAG), (15, None)])
def test_the_best_epoch_is_published_once_however_often_the_run_ends(
    finished: Path, home: Path, best: int, known: str | None
) -> None:
    """The kind: two tags hold the same model. More epochs need not give a better one, nor what follows a Ctrl-C."""
    assert steps._known(finished, Progress(best_epoch=best)) == known
    shutil.rmtree(home / "models")
    assert steps._known(finished, Progress(best_epoch=best)) is None


@pytest.mark.parametrize("same", [True, False])
def test_a_run_whose_images_have_moved_goes_on_if_they_are_the_same(
    finished: Path, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kind: a run is lost with the place of its images, though the images are there."""
    (finished / "checkpoint" / "state.json").write_text(json.dumps(CHECKPOINT | {"stopped": ""}))
    (finished / "metrics.json").unlink()
    images = SimpleNamespace(summary={"fingerprint": "1a2b" if same else "3c4d"})
    monkeypatch.setattr(steps, "load", lambda config: images)
    monkeypatch.setattr(steps, "_run", lambda config, *rest: config)
    before = options.read(finished / "config.toml")
    if same:
        steps.resume(finished, data="elsewhere")
        assert options.read(finished / "config.toml") == before | {"data": str(Path("elsewhere").resolve())}
    else:
        with pytest.raises(ModelError, match=f"the images have changed since {finished} was begun"):
            steps.resume(finished, data="elsewhere")
        assert options.read(finished / "config.toml") == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": "digits"}, "was begun with --data .*photos; leave out --data"),
        ({"test_data": "more"}, "was begun with no --test-data; leave out --test-data"),
    ],
)
def test_images_that_can_not_be_the_same_are_refused_unread(
    finished: Path, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        steps.resume(finished, **given)


def test_a_store_that_can_not_be_made_is_named() -> None:
    code = "from training.export import publish; publish.check('image_classifier')"
    environment = os.environ | {"BENTOML_HOME": "/proc/nowhere"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    said = "StoreError: the model store can't be used: /proc/nowhere: No such file or directory; set BENTOML_HOME\n"
    assert done.stderr.endswith(said)
