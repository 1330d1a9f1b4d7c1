"""The figures of each epoch in files that other programs read while a run trains: history.csv, TensorBoard's events."""

from __future__ import annotations

import csv
import itertools
import os
import socket
import time
from pathlib import Path
from typing import Any

from training import environment

_VALIDATION = "val_"


def write_csv(path: Path, history: dict[str, list[float]]) -> None:
    """Write a table with one row per epoch, counted from 1, and a column per figure, in place of the last one."""
    aside = path.with_name(f"{path.name}.new")
    with aside.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["epoch", *history])
        table.writerows(zip(itertools.count(1), *history.values()))
    os.replace(aside, path)


class Events:
    """TensorBoard's event files, in the sub-folders train and validation of `folder`.

    They need TensorFlow, whatever backend trains, but not TensorBoard.

    Args:
        folder: gets a new file for each process that trains the run.
        epochs: complete epochs so far. TensorBoard drops later ones, which a killed process has left and which are
            trained again.
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        self._folder, self._epochs = folder, epochs
        self._tensorflow = environment.import_tensorflow()
        self._writers: dict[str, Any] = {}

    def add(self, history: dict[str, list[float]], epoch: int) -> None:
        """Write the figures of `epoch`, counted from 1, with the epoch as the step."""
        v1 = self._tensorflow.compat.v1
        figures: dict[str, dict[str, float]] = {}
        for name, values in history.items():
            part = "validation" if name.startswith(_VALIDATION) else "train"
            figures.setdefault(part, {})[name.removeprefix(_VALIDATION)] = values[epoch - 1]
        for part, of_part in figures.items():
            values = [v1.Summary.Value(tag=name, simple_value=value) for name, value in of_part.items()]
            self._write(part, epoch, summary=v1.Summary(value=values))

    def _write(self, part: str, step: int, **content: Any) -> None:
        if part not in self._writers:
            self._writers[part] = self._begin(self._folder / part)
            self._write(part, 0, file_version="brain.Event:2")
            start = self._tensorflow.compat.v1.SessionLog(status="START")
            self._write(part, self._epochs + 1, session_log=start)
        event = self._tensorflow.compat.v1.Event(wall_time=time.time(), step=step, **content)
        self._writers[part].write(event.SerializeToString())
        self._writers[part].flush()

    def _begin(self, folder: Path) -> Any:
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names.
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        return self._tensorflow.io.TFRecordWriter(str(folder / name))
