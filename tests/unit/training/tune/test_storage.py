"""Where a study is kept, and that no password gets out."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from training import folders
from training.errors import UsageError
from training.tune import storage

URL = "postgresql+psycopg://me@db.example.com/studies"
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(storage.VARIABLE, raising=False)


def test_a_study_is_a_file_in_its_folder_unless_a_database_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = storage.address(None, tmp_path)
    assert url == f"sqlite:///{tmp_path}/study.db"
    assert not storage.is_shared(url)
    assert storage.shown(url) == f"{tmp_path}/study.db"
    monkeypatch.setenv(storage.VARIABLE, URL)
    assert storage.address(None, tmp_path) == URL
    assert storage.is_shared(URL)
    assert storage.address(URL.replace("+psycopg", ""), tmp_path) == URL


@pytest.mark.parametrize(
    "url", [f"postgresql+psycopg://me:{SECRET}@db/studies", f"postgresql://me@db/studies?password={SECRET}"]
)
def test_a_password_is_refused_on_the_command_line_and_hidden_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with pytest.raises(
        UsageError, match="every user of this machine can read a password on the command line"
    ) as raised:
        storage.address(url, tmp_path)
    assert SECRET not in str(raised.value)
    monkeypatch.setenv(storage.VARIABLE, url)
    kept = storage.address(None, tmp_path)
    assert SECRET in kept
    assert SECRET not in storage.shown(kept)
    assert "db/studies" in storage.shown(kept)


@pytest.mark.parametrize("url", [f"mysql://me:{SECRET}@db/x", f"{SECRET}", f"sqlite:///{SECRET}.db"])
def test_another_database_is_refused_without_repeating_its_url(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match=r"--storage: write postgresql\+psycopg://USER@HOST/DATABASE") as raised:
        storage.address(url, tmp_path)
    assert SECRET not in str(raised.value)


def test_a_missing_database_is_reported_in_one_line(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://me:{SECRET}@127.0.0.1:9/studies"
    with pytest.raises(storage.StorageError, match="the study's storage postgresql") as raised:
        storage.connect(url)
    assert "127.0.0.1" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert SECRET not in str(raised.value)
    assert raised.value.exit_code == 4


def test_a_file_that_is_not_a_study_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("not a database, but long enough to be read as one" * 20)
    with pytest.raises(storage.StorageError, match="file is not a database"):
        storage.connect(storage.address(None, tmp_path))


def test_a_lost_database_is_reported_in_one_line() -> None:
    lost = OperationalError("SELECT 1", {}, Exception("server closed the connection\nunexpectedly"))
    line = r"the study's storage .*: server closed the connection$"
    with pytest.raises(storage.StorageError, match=line), storage.problems(URL):
        raise lost


def test_a_search_that_waits_for_another_process_names_the_lock(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kind: a command that waits for another process in silence looks as if it hung."""
    caplog.set_level(logging.INFO)
    url = storage.address(None, tmp_path)

    def wait() -> None:
        with storage.alone(url):
            pass

    with ThreadPoolExecutor(1) as pool, storage.alone(url):
        monkeypatch.setattr(folders, "_PATIENCE", 0)
        other = pool.submit(wait)
        said = f"waiting: another process has the lock {tmp_path}/study.db.lock"
        while said not in caplog.messages:
            time.sleep(0.01)
        assert not other.done()
