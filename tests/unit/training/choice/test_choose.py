"""Which candidate wins, and what a run is told when nothing is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.folders import write_tree
from training import environment
from training.choice import choose
from training.choice.candidates import Candidate
from training.choice.choose import _Comparison, _Tried
from training.choice.comparison import Folds, Result
from training.choice.images import load_all
from training.config import Config
from training.errors import UsageError
from training.features.extractor import Cost


def tried(name: str, right: list[int], milliseconds: float) -> _Tried:
    answers = np.array(right, float)
    result = Result(np.zeros((len(right), 2), np.float32), 1.0)
    return _Tried(Candidate(name, {}), result, Cost(milliseconds, 1.0), None, (answers.mean(), answers.mean()), answers)


def best(*candidates: _Tried, sample: bool = False) -> str:
    comparison = _Comparison.__new__(_Comparison)
    comparison._is_sample = sample
    return comparison._best(list(candidates)).candidate.name


def test_the_most_accurate_wins_if_the_difference_is_sure() -> None:
    assert best(tried("small", [1] * 50 + [0] * 50, 0.3), tried("large", [1] * 80 + [0] * 20, 5)) == "large"


def test_the_cheapest_wins_if_no_other_is_surely_better() -> None:
    """With 100 images, one more that is right is chance."""
    small, large = [1] * 80 + [0] * 20, [1] * 79 + [0, 1, 1] + [0] * 18
    assert best(tried("small", small, 0.3), tried("large", large, 5)) == "small"


def test_a_loss_on_a_small_sample_of_the_folder_counts_whole() -> None:
    small, large = [1] * 80 + [0] * 20, [1] * 79 + [0, 1, 1] + [0] * 18
    assert best(tried("small", small, 0.3), tried("large", large, 5), sample=True) == "large"
    assert best(tried("small", small, 0.3), tried("large", small, 5), sample=True) == "small"


def test_of_two_that_cost_the_same_the_more_accurate_wins() -> None:
    frozen, tuned = [1] * 80 + [0] * 20, [1] * 79 + [0, 1, 1] + [0] * 18
    assert best(tried("frozen", frozen, 5), tried("tuned", tuned, 5.2)) == "tuned"


def decided(tmp_path: Path, config: Config, *candidates: _Tried) -> Config:
    comparison = _Comparison.__new__(_Comparison)
    comparison._config, comparison._out, comparison._tried = config, tmp_path, list(candidates)
    comparison._is_sample = False
    comparison._folds = Folds([(np.arange(400), np.arange(100))])
    comparison._started = environment.clock()
    return comparison._decide()


def test_the_reason_says_what_is_gained_by_a_network_that_is_not_the_most_accurate(tmp_path: Path) -> None:
    small, large = [1] * 80 + [0] * 20, [1] * 79 + [0, 1, 1] + [0] * 18
    decided(tmp_path, Config(data="x"), tried("small", small, 0.3), tried("large", large, 5))
    told = choose.read(tmp_path)
    assert told is not None
    assert (told.chosen, told.reason) == (
        "small",
        "it costs less to serve than large, which is not clearly more accurate",
    )
    assert [round(one.accuracy or 0, 2) for one in told.candidates] == [0.8, 0.81]
    decided(tmp_path, Config(data="x"), tried("small", small, 0.3), tried("large", [1] * 100, 5))
    again = choose.read(tmp_path)
    assert again is not None
    assert (again.chosen, again.reason) == ("large", "it is the most accurate")


def test_a_limit_that_no_network_keeps_is_refused_with_the_fastest(tmp_path: Path) -> None:
    slow = [_Tried(Candidate(str(ms), {}), cost=Cost(ms, 1.0), left_out="too slow") for ms in (3.1, 0.62)]
    with pytest.raises(UsageError, match=r"--max-ms 0\.1 is too low: the fastest network takes 0\.62 ms per image"):
        decided(tmp_path, Config(data="x", max_ms=0.1), *slow)


def test_images_that_are_too_small_get_the_small_network_without_a_comparison(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    data = write_tree(tmp_path / "data", {"red": 12, "green": 12}, size=(8, 8))
    config = Config(data=str(data), cache_dir=str(tmp_path / "cache"))
    chosen = choose.choose(config, tmp_path / "run", 1)
    assert (chosen.backbone, chosen.image_size) == ("none", 32)
    told = choose.read(tmp_path / "run")
    assert told is not None
    assert told.reason == "images of 8 pixels are too small for a pretrained network"
    assert caplog.messages == [f"training the small network without a comparison: {told.reason}"]
    assert choose.choose(chosen, tmp_path / "other", 1) is chosen
    assert choose.read(tmp_path / "other") is None


def test_no_image_of_a_comparison_is_a_test_image_at_any_size(tmp_path: Path) -> None:
    data = write_tree(tmp_path / "data", {"red": 30, "green": 30})
    configs = [
        Config(data=str(data), cache_dir=str(tmp_path / "cache"), decoders=1, image_size=size) for size in (8, 16)
    ]
    images = load_all(configs[0], configs)
    for dataset in images.by_size.values():
        assert not set(images.rows.tolist()) & set(dataset.parts["test"].rows.tolist())
        used = [dataset.parts[name].rows for name in ("train", "validation")]
        assert set(images.rows.tolist()) <= set(np.concatenate(used).tolist())
    assert len(images) > 40
    sample = images.sample(20, 0)
    assert 15 <= len(sample) <= 25
    assert np.bincount(images.labels[sample]).min() >= 7
