"""The workers of a training: their environment variables, batch size and part of each batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.folders import write_tree
from training.config import Config
from training.data import dataset
from training.distributed.workers import Workers, from_environment
from training.errors import UsageError
from training.input.augment import Augmenter
from training.recipes import PRESETS

THREE = {
    "KERAS_DISTRIBUTION_NUM_PROCESSES": "3",
    "KERAS_DISTRIBUTION_PROCESS_ID": "2",
    "KERAS_DISTRIBUTION_JOB_ADDRESSES": "photos-0.photos-workers:7733",
}


def test_the_environment_identifies_the_worker() -> None:
    assert from_environment({}) == Workers()
    assert from_environment({"KERAS_DISTRIBUTION_NUM_PROCESSES": "1"}) == Workers()
    found = from_environment(THREE)
    assert (found.count, found.index, found.leads) == (3, 2, False)
    assert found.coordinator == "photos-0.photos-workers:7733"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"NUM_PROCESSES": "two"}, "NUM_PROCESSES is 'two'; it takes a number from 1"),
        ({"PROCESS_ID": "3"}, "PROCESS_ID is '3'; it takes a number from 0 to 2"),
        ({"PROCESS_ID": None}, "needs KERAS_DISTRIBUTION_PROCESS_ID, this worker's number from 0 to 2"),
        ({"JOB_ADDRESSES": None}, "JOB_ADDRESSES is ''; write HOST:PORT of worker 0"),
        ({"JOB_ADDRESSES": "photos-0"}, "JOB_ADDRESSES is 'photos-0'; write HOST:PORT"),
        ({"TIMEOUT": "0"}, "TIMEOUT is '0'"),
    ],
)
def test_invalid_variables_are_refused_in_one_line(changed: dict[str, str | None], said: str) -> None:
    given = THREE | {f"KERAS_DISTRIBUTION_{name}": value for name, value in changed.items()}
    with pytest.raises(UsageError, match=said):
        from_environment({name: value for name, value in given.items() if value is not None})


def test_other_backends_are_refused() -> None:
    with pytest.raises(UsageError, match="needs KERAS_BACKEND=jax; tensorflow trains in one process only"):
        from_environment(THREE | {"KERAS_BACKEND": "tensorflow"})


def test_a_batch_size_is_shared_evenly() -> None:
    three = from_environment(THREE)
    assert three.settle(Config(data="x", batch_size=32), given=None).batch_size == 33
    assert three.settle(Config(data="x", batch_size=33), given=33).batch_size == 33
    with pytest.raises(UsageError, match="--batch-size 32 can't be shared by 3 workers"):
        three.settle(Config(data="x", batch_size=32), given=32)


def test_the_workers_together_get_the_images_of_a_single_process(tmp_path: Path) -> None:
    from training.input.batches import Batches

    config = Config(data=str(write_tree(tmp_path / "data", {"red": 20, "blue": 17})), image_size=8)
    part = dataset.load(replace(config, cache_dir=str(tmp_path / "cache"))).parts["train"]

    def batches(index: int, count: int, multiple: int) -> Batches:
        augmenter = Augmenter(PRESETS["photo"], 8)
        shared = {"seed": 3, "augmenter": augmenter, "share": (index, count), "multiple": multiple}
        return Batches(part.images, part.rows, part.labels, 2, 12, **shared)  # type: ignore[arg-type]

    whole, shares = batches(0, 1, 3), [batches(index, 3, 3) for index in range(3)]
    assert whole.images_an_epoch == len(part) // 3 * 3 == shares[0].images_an_epoch
    for epoch in range(2):
        for one in (whole, *shares):
            one.start_epoch(epoch)
        for index in range(whole.num_batches):
            for expected, *parts in zip(whole[index], *(share[index] for share in shares), strict=True):
                assert np.array_equal(np.concatenate(parts), expected)
                assert len({len(one) for one in parts}) == 1
