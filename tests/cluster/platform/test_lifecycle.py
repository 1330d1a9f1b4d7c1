"""The cluster leaves no trace, however it ends. These tests use their own home, beside the one in use."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import settings, tools
from cluster.errors import ClusterError
from tests.cluster import machine

PORTS = {
    "CLUSTER_API_PORT": 26443,
    "CLUSTER_HTTP_PORT": 28080,
    "CLUSTER_HTTPS_PORT": 28443,
    "CLUSTER_REGISTRY_PORT": 25000,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a home that keeps its images from test to test, as a person's does."""
    try:
        tools.require()
    except ClusterError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("home")
    yield folder
    cluster(folder, "down").communicate(timeout=120)


def cluster(home: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"CLUSTER_HOME": str(home)} | {name: str(port) for name, port in PORTS.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "cluster", *arguments],
        cwd=settings.REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(home: Path, *arguments: str) -> tuple[int, str, str]:
    process = cluster(home, *arguments)
    output, message = process.communicate(timeout=400)
    return process.returncode, output, message


def wait_for_phase(process: subprocess.Popen[str], phase: str) -> None:
    assert process.stderr
    for line in process.stderr:
        if line.strip().endswith(phase):
            return
    pytest.fail(f"the command ended before {phase}")


def wait_until_gone(home: Path) -> None:
    deadline = time.monotonic() + 60
    while left := machine.processes(home):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def test_up_and_down_leave_no_trace_and_a_second_up_says_that_a_cluster_is_running(home: Path) -> None:
    before = machine.traces(home)
    status, output, message = done(home, "up")
    assert status == 0, message
    exported = re.search(r"^export KUBECONFIG=(.+)$", output, re.M)
    assert exported
    nodes = ["kubectl", "--kubeconfig", exported[1], "get", "nodes", "--no-headers"]
    kubectl = subprocess.run(
        nodes, capture_output=True, text=True, check=True, env=os.environ | {"PATH": f"{home}/bin"}
    )
    assert [line.split()[1] for line in kubectl.stdout.splitlines()] == ["Ready", "Ready"]

    status, again, message = done(home, "up")
    assert (status, again) == (0, output)
    assert message == f"cluster: a cluster is already running in {home}\n"

    assert done(home, "down") == (0, "", "")
    assert machine.traces(home) == before


def test_killing_the_keeper_ends_every_process_and_down_removes_the_rest(home: Path) -> None:
    before = machine.traces(home)
    status, _, message = done(home, "up")
    assert status == 0, message
    os.kill(int((home / "lock").read_text()), signal.SIGKILL)
    wait_until_gone(home)
    assert done(home, "down") == (0, "", "")
    assert machine.traces(home) == before


@pytest.mark.parametrize("phase", ["daemons", "API server"])
def test_an_up_that_is_interrupted_leaves_no_trace(home: Path, phase: str) -> None:
    before = machine.traces(home)
    process = cluster(home, "up")
    wait_for_phase(process, phase)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert machine.traces(home) == before


def test_an_up_that_is_killed_leaves_no_trace_and_the_next_one_works(home: Path) -> None:
    before = machine.traces(home)
    process = cluster(home, "up")
    wait_for_phase(process, "images")
    process.kill()
    process.communicate()
    wait_until_gone(home)
    assert machine.traces(home) == before
    status, _, message = done(home, "up")
    assert status == 0, message
    assert done(home, "down")[0] == 0
    assert machine.traces(home) == before
