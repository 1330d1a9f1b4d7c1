"""The figures of each epoch in files for other programs, through kills and resumes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from training.loop.checkpoint import Checkpoint, Progress
from training.loop.history import Events

HISTORY = {"loss": [0.75, 0.5, 0.25], "accuracy": [0.25, 0.5, 1.0], "val_loss": [1.0, 0.75, 0.5]}


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def first(epochs: int) -> dict[str, list[float]]:
    return {name: values[:epochs] for name, values in HISTORY.items()}


def test_the_table_has_a_row_for_each_epoch_whose_state_is_saved(tmp_path: Path) -> None:
    """The kind: what a run has done so far can't be followed, or a killed and resumed run has rows twice."""
    (tmp_path / "checkpoint").mkdir()
    for epochs in (1, 2, 2, 3, 3):  # as after a kill, and as at the end
        Checkpoint(tmp_path).save_progress(Progress(epochs=epochs, history=first(epochs)))
        assert [row["epoch"] for row in rows(tmp_path)] == [str(epoch) for epoch in range(1, epochs + 1)]
    assert rows(tmp_path)[1] == {"epoch": "2", "loss": "0.5", "accuracy": "0.5", "val_loss": "0.75"}
    assert [path.name for path in tmp_path.glob("*.new")] == []


def test_of_several_workers_one_writes(tmp_path: Path) -> None:
    Checkpoint(tmp_path, writes=False).save_progress(Progress(epochs=1, history=first(1)))
    assert list(tmp_path.iterdir()) == []


def events(folder: Path) -> list[Any]:
    v1 = pytest.importorskip("tensorflow").compat.v1
    files = sorted(folder.glob("events.out.tfevents.*"))
    return [v1.Event.FromString(record) for file in files for record in v1.io.tf_record_iterator(str(file))]


def test_a_killed_process_leaves_no_epoch_twice_for_tensorboard(tmp_path: Path) -> None:
    killed = Events(tmp_path, 0)
    killed.add(first(1), 1)
    killed.add(first(2), 2)  # but the checkpoint was not written any more
    resumed = Events(tmp_path, 1)
    resumed.add(first(2), 2)
    kept: dict[int, dict[str, float]] = {}
    for event in events(tmp_path / "train"):
        if event.HasField("session_log"):
            kept = {step: values for step, values in kept.items() if step < event.step}
        if event.HasField("summary"):
            assert event.step not in kept
            kept[event.step] = {value.tag: value.simple_value for value in event.summary.value}
    assert kept == {1: {"loss": 0.75, "accuracy": 0.25}, 2: {"loss": 0.5, "accuracy": 0.5}}
    (*_, last) = events(tmp_path / "validation")
    assert (last.step, [(value.tag, value.simple_value) for value in last.summary.value]) == (2, [("loss", 0.75)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train", "validation"]
