"""containers/retry-build retries a build only if buildah could not seal its own copy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BUSY = "Close_Fd sealing memfd copy: Device or resource busy"


@pytest.mark.parametrize(
    ("says", "failures", "code", "runs"),
    [(BUSY, 0, 0, 1), (BUSY, 2, 0, 3), (BUSY, 9, 7, 3), ("no space left on device", 9, 7, 1)],
    ids=["it works", "it works in the end", "it never works", "it fails for another reason"],
)
def test_a_build_is_retried(tmp_path: Path, says: str, failures: int, code: int, runs: int) -> None:
    log, count = tmp_path / "log", tmp_path / "count"
    script = (
        f'echo >> "{count}"; [ $(wc -l < "{count}") -gt {failures} ] || {{ echo "{says}" >&2; exit 7; }}; echo built'
    )
    done = subprocess.run([ROOT / "containers/retry-build", log, "bash", "-c", script], check=False)
    assert (done.returncode, len(count.read_text().splitlines())) == (code, runs)
    assert log.read_text() == ("built\n" if code == 0 else f"{says}\n")
