from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from bento import startup


def test_the_phases_add_up_to_the_age_at_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ages = iter([0.5, 1.5, 1.75, 9.0])
    monkeypatch.setattr(startup, "_ended", {})
    monkeypatch.setattr(startup, "age", lambda: next(ages))
    for phase in ("process", "imports", "model"):
        startup.ended(phase)
    startup.ended("imports")  # a phase ends once
    assert startup.phases() == {"process": 0.5, "imports": 1.0, "model": 0.25}


def test_the_age_is_measured_from_the_start_of_the_process() -> None:
    born = time.monotonic()
    script = "import time; time.sleep(0.3); from bento import startup; print(startup.age())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    # The kernel counts in hundredths.
    assert 0.29 < float(done.stdout) < time.monotonic() - born + 0.02
