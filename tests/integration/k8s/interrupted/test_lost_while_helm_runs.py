"""A helm that still runs when its command has lost the lock is ended, because the release is another command's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from k8s.errors import Busy
from k8s.releases.helm import Helm

SLOW = """#!/bin/sh
trap 'echo ended > "$0.ended"; exit 1' TERM
echo begun > "$0.begun"
while :; do sleep 0.05; done
"""


def test_helm_is_ended_once_the_lock_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "helm"
    script.write_text(SLOW)
    script.chmod(0o755)
    monkeypatch.setenv("HELM", str(script))
    helm = Helm()

    def lost() -> None:
        if Path(f"{script}.begun").exists():
            raise Busy("another command is changing demo")

    helm.watch = lost
    with pytest.raises(Busy, match=r"helm was stopped midway.*abort"):
        helm.uninstall("demo")
    assert Path(f"{script}.ended").exists()
    assert subprocess.run(["pgrep", "-f", str(script)], check=False, capture_output=True).returncode == 1
