from __future__ import annotations

from pathlib import Path

import pytest

from training.config import Config
from training.data.disk import DiskSource
from training.data.locations import data_name, keep_outside, sources
from training.errors import UsageError


@pytest.mark.parametrize("out", ["photos/run", "photos", "photos/red/run", "elsewhere/../photos/run", "link/run"])
def test_results_are_not_written_among_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    """Kind: no command writes where it, or the next one, reads images."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to("photos")
    with pytest.raises(UsageError, match=rf"^{out} is inside --data photos, .* pass --out DIR, a folder outside$"):
        keep_outside(Path(out), Config(data="photos"))
    with pytest.raises(UsageError, match="is inside --test-data photos"):
        keep_outside(Path(out), Config(data="other", test_data="photos"))
    with pytest.raises(UsageError, match="pass --cache-dir DIR"):
        keep_outside(Path("run"), Config(data="photos", cache_dir=out))


def test_results_may_lie_beside_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for data in ("photos", "s3://photos/a", "digits"):
        keep_outside(Path("photos-run"), Config(data=data))
    keep_outside(Path("."), Config(data="photos"))


def test_a_data_set_has_a_name_from_wherever_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kind: one function names the data of every command."""
    (tmp_path / "pets" / "train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "pets")
    assert [data_name(Config(data=text)) for text in (".", "./", "train", "../pets/train/", "digits")] == [
        "pets",
        "pets",
        "pets/train",
        "pets/train",
        "digits",
    ]
    with pytest.raises(UsageError, match=r"--data is 'caf\\udce9', which isn't UTF-8"):
        Config(data="caf\udce9")
    assert str(DiskSource(Path("caf\udce9"))) == "caf\\xe9"


def test_a_built_in_data_set_is_said_to_hide_a_folder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    config = Config(data="digits", cache_dir="cache")
    (tmp_path / "cache" / "digits").mkdir(parents=True)
    sources(config)
    assert caplog.text == ""
    (tmp_path / "digits").mkdir()
    sources(config)
    assert "--data digits is the built-in data set; for the folder, pass ./digits" in caplog.text
