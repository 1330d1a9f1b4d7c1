"""The space of a search: what a TOML file may say, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.config import Config
from training.errors import UsageError
from training.tune import space


def read(folder: Path, text: str) -> space.Space:
    path = folder / "space.toml"
    path.write_text(text)
    return space.read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat = { low = 1, high = 2 }", "learning_rat: there is no such option"),
        ("epochs = { low = 1, high = 2 }", "epochs: this option can't be searched"),
        ("image_size = { low = 16, high = 32 }", "image_size: this option can't be searched"),
        ("refit = { choices = [true, false] }", "refit: this option can't be searched"),
        ("depth = 3", "depth: write { low = A, high = B } or { choices = [...] }"),
        ("depth = { low = 1, hihg = 2 }", "depth: there is no 'hihg'"),
        ("depth = { low = 1 }", "depth: a range needs low and high"),
        ("depth = { low = 3, high = 3 }", "depth: low is 3 and high is 3; low must be less than high"),
        ("depth = { low = 1, high = 9 }", "depth: --depth is 9; it must be at most 8"),
        ("depth = { low = 1.5, high = 3 }", "depth: 1.5 must be of type int"),
        ("depth = { low = true, high = 3 }", "depth: True must be of type int"),
        ("dropout = { low = nan, high = 0.5 }", "dropout: --dropout is nan; it must be at least 0"),
        ("dropout = { low = 0, high = 0.5, log = true }", "dropout: log = true needs a low above 0"),
        ("dropout = { low = 0, high = 0.5, log = 1 }", "dropout: log is 1; it must be true or false"),
        ("dropout = { low = 0, high = 0.5, steps = 1 }", "dropout: steps is 1; it must be a whole number from 2"),
        ("optimizer = { low = 0, high = 1 }", "optimizer: takes choices = [...], not a range"),
        ("optimizer = { choices = ['adam', 'adma'] }", "optimizer: --optimizer is 'adma'; choose one of adam"),
        ("optimizer = { choices = 'adam' }", "optimizer: choices must be a list of values"),
        ("width = { choices = [] }", "width: choices must be a list of values"),
        ("width = { choices = [8, 8] }", "width: a choice is repeated"),
        ("width = { choices = [8], steps = 2 }", "width: choices can't be combined with"),
        ("", "the file names no option to search"),
        ("depth = {", "(at end of document)"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_option(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        read(tmp_path, text)
    assert f"--space {tmp_path / 'space.toml'}: " in str(raised.value)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--space .*none.toml: No such file"):
        space.read(tmp_path / "none.toml")


@pytest.mark.parametrize("data", ["digits", "photos"])
def test_the_default_space_contains_the_default_configuration(data: str) -> None:
    default = space.read(space.DEFAULT)
    network = {"depth", "width", "dropout", "l2", "activation"}
    assert {*network, "learning_rate", "batch_size", "optimizer", "rotation", "zoom", "shift"} == set(
        default.dimensions
    )
    values = default.values_of(Config(data=data).for_images(5_000))
    assert values is not None
    assert values["learning_rate"] == 0.002
    assert default.values_of(Config(data=data, width=128).for_images(5_000)) is None


def test_a_grid_is_every_combination(tmp_path: Path) -> None:
    text = """
        optimizer = { choices = ["adam", "sgd"] }
        depth = { low = 2, high = 4 }
        l2 = { low = 1e-6, high = 1e-2, log = true, steps = 3 }
        dropout = { low = 0, high = 0.4, steps = 2 }
        width = { low = 8, high = 32, steps = 3 }
    """
    grid = read(tmp_path, text).grid()
    assert len(grid) == 2 * 3 * 3 * 2 * 3
    assert len({tuple(entry.items()) for entry in grid}) == len(grid)
    assert sorted({entry["l2"] for entry in grid}) == pytest.approx([1e-6, 1e-4, 1e-2])
    assert {entry["dropout"] for entry in grid} == {0, 0.4}
    assert {entry["width"] for entry in grid} == {8, 20, 32}
    for entry in grid:
        Config(data="x", **entry)


def test_a_grid_needs_steps_and_has_a_largest_size(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--search grid: l2, dropout: add steps = N to the range, or give choices"):
        read(tmp_path, "l2 = { low = 0, high = 1 }\ndropout = { low = 0, high = 0.5 }").grid()
    large = read(tmp_path, "l2 = { low = 0, high = 1, steps = 1000 }\ndropout = { low = 0, high = 0.5, steps = 1000 }")
    with pytest.raises(UsageError, match="--search grid: 1,000,000 combinations; at most 10,000 are allowed"):
        large.grid()


def test_an_option_on_the_command_line_is_not_searched(tmp_path: Path) -> None:
    whole = read(tmp_path, "depth = { low = 1, high = 2 }\nwidth = { choices = [8, 16] }")
    assert set(whole.without({"depth", "epochs"}).dimensions) == {"width"}
    with pytest.raises(UsageError, match="nothing is left to search"):
        whole.without({"depth", "width"})


def test_the_default_space_has_the_learning_rate_that_each_of_its_optimisers_has_by_default() -> None:
    """The kind: the space's edge lies below a value that is the best for one of its choices."""
    dimensions = space.read(space.DEFAULT).dimensions
    for optimizer in dimensions["optimizer"].choices:
        rate = Config(image_size=32, optimizer=optimizer).peak_learning_rate
        assert dimensions["learning_rate"].contains(rate), optimizer
