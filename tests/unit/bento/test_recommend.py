from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.models import ModelStore

from bento.inference.cost import CostCurve
from bento.recommend import main, recommend
from tests.stored import place


def curve(a: float, b: float) -> CostCurve:
    cost = CostCurve()
    for n in (1, 2, 4, 8, 16, 32):
        cost.update(n, a * n + b)
    return cost


def test_batches_are_as_large_as_the_target_allows() -> None:
    cost = curve(0.001, 0.01)
    sizes = []
    for target in (0.04, 0.06, 0.2):
        found = recommend(cost, 0.001, target, 32, inline=False)
        assert found is not None
        size = int(found.settings["MAX_BATCH_SIZE"])
        assert 2 * cost.seconds(size) + 0.001 <= target
        assert float(found.settings["DEADLINE_MS"]) == pytest.approx(1e3 * target)
        sizes.append(size)
    assert sizes == [5, 13, 32]


def test_queued_images_are_answered_within_the_target() -> None:
    cost = curve(0.001, 0.01)
    found = recommend(cost, 0.001, 0.1, 32, inline=False)
    assert found is not None
    assert int(found.settings["QUEUE_LIMIT"]) / found.rate + cost.seconds(32) <= 0.1
    assert 0 < float(found.settings["MAX_WAIT_MS"]) <= 5


def test_a_model_without_a_fixed_cost_gets_no_batches() -> None:
    found = recommend(curve(0.05, 0), 0.01, 1, 32, inline=False)
    assert found is not None
    assert (found.settings["MAX_BATCH_SIZE"], found.settings["MAX_WAIT_MS"]) == ("1", "0")
    assert found.rate == pytest.approx(20)


def test_on_the_event_loop_decoding_lowers_the_rate() -> None:
    found = recommend(curve(0.0003, 0), 0.0002, 0.05, 32, inline=True)
    assert found is not None
    assert found.settings["EXECUTION"] == "inline"
    assert found.rate == pytest.approx(2000)
    # Images of one iteration share a call, whether that saves time or not.
    assert found.settings["MAX_BATCH_SIZE"] == "32"


def test_a_target_below_the_cost_of_one_image_gets_no_settings() -> None:
    assert recommend(curve(0.05, 0), 0.01, 0.1, 32, inline=False) is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own
@pytest.mark.parametrize(
    ("pattern", "content", "reason"),
    [
        ("golden", None, "can't be measured: golden set .*: No such file or directory; train the model again"),
        ("golden/golden.json", None, "can't be measured: golden set .*: 'golden.json' is missing; train the model"),
        ("golden/golden.json", "[]", "can't be measured: its golden set is empty; train the model again"),
        ("golden/*.png", "no image", "can't be measured: .*PNG"),
        ("model-int8.onnx", "no model", "can't be measured: .*model-int8.onnx"),
        ("model.yaml", "{", "can't be read"),
        ("model.yaml", "a: b", "can't be read"),
    ],
)
def test_an_entry_that_can_not_be_measured_is_named_in_one_line(
    pattern: str, content: str | None, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kind: a damaged store entry ends a command with a traceback."""
    tag = place(tmp_path)
    damaged = list((tmp_path / "models" / tag.replace(":", "/")).glob(pattern))
    assert damaged
    for path in damaged:
        if content is not None:
            path.write_text(content)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    BentoMLContainer.model_store.set(ModelStore(tmp_path / "models"))
    try:
        assert main([]) == 1
    finally:
        BentoMLContainer.model_store.reset()
    assert re.match(f"error: .*{reason}.*\\n$", capsys.readouterr().err)
