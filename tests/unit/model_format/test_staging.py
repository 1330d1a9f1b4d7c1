"""What a process that stages an entry says while it waits for another one."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from model_format.staging import staging


def test_a_process_that_waits_for_another_one_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The kind: a pod's first container stands still for a lock, and says nothing."""

    def held(lock: int, how: int) -> None:
        if how & fcntl.LOCK_NB:
            raise BlockingIOError

    caplog.set_level("INFO")
    monkeypatch.setattr("fcntl.flock", held)
    with staging(tmp_path, ".fetch-", "another process fetches a model"):
        assert caplog.messages == ["waiting: another process fetches a model"]
