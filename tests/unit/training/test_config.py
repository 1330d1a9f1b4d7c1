from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from training.config import Config
from training.errors import UsageError
from training.options import add_arguments, merge, read, write
from training.recipes import PRESETS


def parse(*arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return vars(parser.parse_args(arguments))


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('data = "pets"\nepochs = 7\ndropout = 0\nstrict = true\n')
    config = merge(parse("--epochs", "9", "--no-strict"), file)
    assert (config.data, config.epochs, config.dropout, config.depth) == ("pets", 9, 0.0, Config().depth)
    assert not config.strict
    assert not merge(parse("--recipe", "accurate", "--no-mirrored"), None).mirrored


def test_the_older_name_of_an_option_is_still_accepted(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("workers = 3\n")
    assert merge(parse(), file).decoders == merge(parse("--workers", "3"), None).decoders == 3
    assert merge(parse("--decoders", "2"), file).decoders == 2


def test_the_configuration_of_an_older_run_without_removed_options_is_still_read(tmp_path: Path) -> None:
    write(Config(data="photos"), tmp_path / "c.toml")
    with (tmp_path / "c.toml").open("a") as file:
        file.write("ensemble = 1\nema = 0.0\nmixup = 0.0\ncutmix = 0.0\n")
    assert Config(**read(tmp_path / "c.toml")) == Config(data="photos")


def test_a_written_configuration_reads_back_equal(tmp_path: Path) -> None:
    config = Config(data='fold"er\\ ü', epochs=3, rotation=0.0, strict=True, int8=False).for_images(500)
    write(config, tmp_path / "c.toml")
    assert Config(**read(tmp_path / "c.toml")) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "there is no option 'epoch'"),
        ("ensemble = 2", "there is no option 'ensemble'"),
        ('schedule = "plateau"', "choose one of cosine, one-cycle"),
        ('epochs = "3"', "epochs must be of type int"),
        ("strict = 1", "strict must be of type bool"),
        ("epochs = true", "epochs must be of type int"),
        ("epochs = 0", "--epochs is 0; it must be at least 1"),
        ("dropout = nan", "--dropout is nan"),
        ('optimizer = "lion"', "choose one of adam, adamw, sgd"),
        ('name = "My Model"', "--name is 'My Model'; it takes"),
        ('name = ""', "--name is ''"),
        ("epochs = ", "Invalid value"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        merge({}, file)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read(tmp_path / "none.toml")


def test_digits_are_never_flipped_and_photos_are_never_turned_upside_down() -> None:
    digits, photos = Config(data="digits").augmentation, Config(data="pets").augmentation
    assert digits["horizontal_flip"] == digits["vertical_flip"] == 0
    assert photos["horizontal_flip"] > 0
    assert photos["vertical_flip"] == 0


def test_a_single_rate_overrides_the_preset() -> None:
    rates = Config(data="pets", preset="overhead", rotation=0.0).augmentation
    assert rates == PRESETS["overhead"] | {"rotation": 0.0}


@pytest.mark.parametrize(("images", "batch_size", "epochs"), [(60, 16, 20), (900, 32, 9), (20_000, 64, 8)])
def test_fine_tuning_goes_through_few_epochs_and_keeps_the_last(images: int, batch_size: int, epochs: int) -> None:
    config = Config(data="x", backbone="efficientnet-lite0").for_images(images)
    assert (config.batch_size, config.epochs, config.patience) == (batch_size, epochs, None)
    assert Config(data="x", backbone="efficientnet-lite0", patience=3).for_images(images).patience == 3


@pytest.mark.parametrize(("images", "batch_size", "epochs"), [(200, 16, 60), (1440, 32, 23), (45_000, 64, 20)])
def test_few_images_get_small_batches_and_many_epochs(images: int, batch_size: int, epochs: int) -> None:
    config = Config(data="x").for_images(images)
    assert (config.batch_size, config.epochs) == (batch_size, epochs)
    assert config.patience is not None
    assert config.patience >= 5


def test_given_values_are_never_changed() -> None:
    config = Config(data="x", batch_size=7, epochs=3, patience=2).for_images(45_000)
    assert (config.batch_size, config.epochs, config.patience) == (7, 3, 2)


@pytest.mark.parametrize(("test_fraction", "left"), [(0.5, "0%"), (0.45, "5%"), (0.31, "19%")])
def test_fractions_that_leave_too_few_images_to_train_on_are_refused(test_fraction: float, left: str) -> None:
    """The kind: a network is trained on one image per class, because the other parts have taken the rest."""
    said = rf"--validation-fraction 0.5 and --test-fraction {test_fraction} leave {left} of the images to train on"
    with pytest.raises(UsageError, match=said):
        Config(validation_fraction=0.5, test_fraction=test_fraction)
    assert Config(validation_fraction=0.5, test_fraction=0.3)
    assert Config(validation_fraction=0.5, test_fraction=0.5, test_data="others")
    assert Config(validation_fraction=0.5, test_fraction=0.5, validation_data="others")
