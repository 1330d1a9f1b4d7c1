"""What fetching a model into a store says while it waits."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from bento.fetch import store


def test_a_fetch_that_waits_for_another_one_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The kind: a pod's first container stands still for a lock, and says nothing."""

    def held(lock: int, how: int) -> None:
        if how & fcntl.LOCK_NB:
            raise BlockingIOError

    caplog.set_level("INFO")
    monkeypatch.setattr("fcntl.flock", held)
    with store._locked(tmp_path):
        assert caplog.messages == [f"waiting: another process fetches a model into {tmp_path}"]
