"""The local cluster's messages, settings and images, without starting it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from cluster import settings
from cluster.errors import ClusterError
from cluster.images import archive


def command(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CLUSTER_HOME": str(home)} | variables
    line = [sys.executable, "-m", "cluster", *arguments]
    return subprocess.run(line, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("arguments", [["status"], ["shell", "--", "true"], ["load", "image.tar"]])
def test_a_verb_that_needs_a_cluster_says_that_none_is_running(tmp_path: Path, arguments: list[str]) -> None:
    done = command(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: no cluster is running; start it with `python -m cluster up`\n"


def test_an_error_names_the_port_that_is_not_a_number(tmp_path: Path) -> None:
    done = command(tmp_path, "status", CLUSTER_API_PORT="http")
    message = "error: CLUSTER_API_PORT is 'http'; set it to a port number, 1 to 65535\n"
    assert (done.returncode, done.stderr) == (1, message)


def test_each_home_has_its_own_control_group(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = set()
    for home in ("/one", "/two"):
        monkeypatch.setenv("CLUSTER_HOME", home)
        groups.add(settings.load().cgroup)
    assert len(groups) == 2


def test_a_port_above_65535_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_HTTP_PORT", "65536")
    with pytest.raises(ClusterError, match="CLUSTER_HTTP_PORT"):
        settings.load()


def test_the_same_files_give_the_same_image_bytes_and_root_owns_them(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    written = []
    for number, mode in enumerate((0o600, 0o755)):
        program.chmod(mode)
        path = tmp_path / f"{number}.tar"
        files = {"/bin/program": program}
        archive.write(path, "some/name:tag", files, entrypoint=["/bin/program"], user="65534:65534")
        written.append(path.read_bytes())
    assert written[0] == written[1]
    with tarfile.open(tmp_path / "0.tar") as image:
        (manifest,) = json.load(image.extractfile("manifest.json") or pytest.fail("no manifest"))
        assert manifest["RepoTags"] == ["some/name:tag"]
        with tarfile.open(fileobj=image.extractfile(manifest["Layers"][0])) as layer:
            entry = layer.getmember("bin/program")
            assert (entry.mode, entry.uid) == (0o755, 0)
            assert layer.getmember("tmp").mode == 0o1777
