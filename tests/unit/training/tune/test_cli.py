"""`python -m training tune` answers wrong options with one line and an exit code, and starts nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.cli import PROGRAM
from training.config import Config
from training.tune import search
from training.tune.space import DEFAULT


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--search", "grid", "--trials", "5"), 2, "--trials: a grid has as many as its space has combinations"),
        (("--search", "grid"), 2, "--search grid: learning_rate, dropout, l2, rotation, zoom, shift: add steps = N"),
        (("--trials", "0"), 2, "--trials is 0; it must be at least 1"),
        (("--processes", "-1"), 2, "--processes is -1; it must be at least 1"),
        (("--refit",), 2, "--refit leaves no validation images to compare trials on; pass --retrain"),
        (("--space", "none.toml"), 2, "--space none.toml: No such file or directory"),
        (("--storage", "mysql://db/x"), 2, "--storage: write postgresql+psycopg://USER@HOST/DATABASE, not mysql://"),
        (("--storage", "postgresql+psycopg://me@db/x"), 2, "--study NAME: a database holds many studies"),
        (("--storage", "postgresql://me:abc@db/x", "--study", "s"), 2, "--storage: every user of this machine"),
        (("--depth", "99"), 2, "--depth is 99; it must be at most 8"),
        (("--backbone", "resnet50"), 2, "a search trains networks from scratch; leave out --backbone"),
        ((), 1, "no such folder: nowhere"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNE_STORAGE", raising=False)
    assert PROGRAM.main(["tune", "--data", "nowhere", *options]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")
    assert "me:abc" not in line
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_option_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert PROGRAM.main(["tune", "--trails", "5"]) == 2
    message = "error: unrecognized arguments: --trails 5; see python -m training tune --help\n"
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize(
    ("folder", "name"), [("pets", "tune-pets"), ("pets/train", "tune-pets-train"), ("./digits", "tune-digits")]
)
def test_a_search_is_called_what_reports_call_its_images(
    folder: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kind: two functions name the same images, and searches of two data sets share a folder."""

    class Began(Exception):
        pass

    def keep_outside(out: Path, config: Config) -> None:
        raise Began(str(out))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(search, "keep_outside", keep_outside)
    request = search.Request(Config(data=folder), frozenset(), DEFAULT, "tpe", 1, 1, None, None, retrain=False)
    with pytest.raises(Began, match=f"^runs/{name}$"):
        search.search(request, lambda report: None)
