"""What more epochs mean for the phases of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training.config import Config
from training.loop import changes, phases
from training.loop.checkpoint import Progress

HEAD = {"name": "head", "start": 0, "most_epochs": 1}
TUNING = {"name": "fine-tuning", "start": 1, "most_epochs": 6}


@pytest.mark.parametrize(
    ("options", "begun", "expected"),
    [
        ({"backbone": "none"}, [TUNING | {"name": "all layers", "start": 0}], [9]),
        ({"backbone": "resnet50"}, [HEAD, TUNING], [1, 9]),
    ],
)
def test_the_last_phase_gets_the_epochs_and_has_not_ended_any_more(
    options: dict[str, Any], begun: list[dict[str, Any]], expected: list[int]
) -> None:
    config = Config(data="photos", image_size=32, epochs=6, **options)
    progress = Progress(epochs=9, stopped="finished", phases=begun)
    assert phases.ended(config, progress)
    more = changes.extended(config, 9, progress, Path("run"))
    assert [phase.epochs for phase in phases.plan(more)] == expected
    assert not phases.ended(more, progress)
    assert more == replace(config, epochs=9)
