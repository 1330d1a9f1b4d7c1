"""Ctrl-C, SIGTERM and kill -9 at every step, and two releases at once: no release stays `pending` or half done."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import leftovers, serving, statuses
from tests.kubeapi.pods import Fate
from tests.kubeapi.server import KubeApi

Start = Callable[..., subprocess.Popen[str]]

NEW = ("release", "demo", "--image", "reg.local/ic:2", "--slo", "none")


class Moment:
    """The first request of a kind, held back until the test lets it go."""

    def __init__(self, api: KubeApi, method: str, part: str) -> None:
        self.come, self._gone_on = threading.Event(), threading.Event()
        self._wanted = (method, part)
        api.on_request = self._see

    def _see(self, method: str, path: str) -> None:
        wanted, part = self._wanted
        if method == wanted and path.endswith(part) and not self.come.is_set():
            self.come.set()
            self._gone_on.wait(30)

    def wait(self) -> None:
        assert self.come.wait(60), self._wanted

    def go_on(self) -> None:
        self._gone_on.set()


STEPS = {
    "helm installs the candidate": ("PATCH", "/deployments/demo-candidate"),
    "the candidate's pods are awaited": ("GET", "/pods"),
    "a pod is asked": ("GET", "/portforward"),
    "helm upgrades the release": ("PATCH", "/deployments/demo-image-classifier"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_release_is_undone(
    release: Run, start: Start, api: KubeApi, step: str, number: signal.Signals
) -> None:
    assert release("1").code == 0
    moment = Moment(api, *STEPS[step])
    process = start(*NEW)
    moment.wait()
    os.killpg(process.pid, number)
    time.sleep(0.2)
    moment.go_on()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "error: interrupted" in err
    assert "Traceback" not in err
    assert serving(api) == {"reg.local/ic:1"}
    assert set(statuses(api).values()) <= {"superseded", "deployed"}
    assert leftovers(api) == []


def kill_all(process: subprocess.Popen[str]) -> None:
    """Kill a command and its helm, as a power failure would."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False
    )
    process.kill()
    for pid in found.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    process.communicate()


def age_lease(api: KubeApi) -> None:
    """Shorten a dead holder's Lease to a second, instead of 15."""
    api.objects.get("leases", "demo-release")["spec"]["leaseDurationSeconds"] = 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("installed", "step", "left"),
    [
        (True, "helm upgrades the release", {1: "deployed", 2: "pending-upgrade"}),
        (False, "helm upgrades the release", {1: "pending-install"}),
    ],
)
def test_the_next_release_recovers_one_that_was_killed_inside_helm(
    release: Run, start: Start, api: KubeApi, installed: bool, step: str, left: dict[int, str]
) -> None:
    if installed:
        assert release("1").code == 0
    moment = Moment(api, *STEPS[step])
    process = start(*NEW)
    moment.wait()
    kill_all(process)
    moment.go_on()
    assert statuses(api) == left
    age_lease(api)
    done = release("3")
    assert done.code == 0, done.err
    assert f"was left {left[max(left)]}" in done.err
    assert serving(api) == {"reg.local/ic:3"}
    assert set(statuses(api).values()) <= {"superseded", "deployed"}


def test_a_canary_after_a_killed_release_keeps_the_stable_version(
    release: Run, k8s: Run, start: Start, api: KubeApi
) -> None:
    assert release("1", "--set", "replicaCount=3").code == 0
    moment = Moment(api, *STEPS["helm upgrades the release"])
    process = start(*NEW)
    moment.wait()
    kill_all(process)
    moment.go_on()
    age_lease(api)
    done = k8s("canary", "demo", "--weight", "25", "--image", "reg.local/ic:3", "--slo", "none")
    assert done.code == 0, done.err
    assert serving(api) == {"reg.local/ic:1"}
    assert serving(api, "canary") == {"reg.local/ic:3"}


def test_a_killed_rollout_is_rolled_back_to_the_revision_before(release: Run, start: Start, api: KubeApi) -> None:
    assert release("1").code == 0
    moment = Moment(api, "GET", "/replicasets")
    process = start(*NEW, "--golden", "none")
    moment.wait()  # for the candidate; the release follows once it has passed
    moment.go_on()
    second = Moment(api, "PUT", "/secrets/sh.helm.release.v1.demo.v2")
    second.wait()
    process.kill()
    process.wait()
    second.go_on()
    while statuses(api)[2] != "deployed":  # helm itself keeps running, and ends normally
        time.sleep(0.05)
    age_lease(api)

    def see(method: str, path: str) -> None:
        if method == "PATCH" and path.endswith("/deployments/demo-image-classifier"):
            api.fates["reg.local/ic:3"] = Fate("crash")

    api.on_request = see
    done = release("3")
    assert done.code == 3
    assert done.error.endswith("rolled back to revision 1")
    assert serving(api) == {"reg.local/ic:1"}


def test_abort_cleans_up_what_a_killed_release_left(release: Run, start: Start, k8s: Run, api: KubeApi) -> None:
    assert release("1").code == 0
    moment = Moment(api, *STEPS["a pod is asked"])
    process = start(*NEW)
    moment.wait()
    kill_all(process)
    moment.go_on()
    assert leftovers(api)
    age_lease(api)
    assert k8s("abort", "demo").code == 0
    assert leftovers(api) == []
    assert serving(api) == {"reg.local/ic:1"}


def test_a_second_release_is_refused_while_the_first_is_at_work(release: Run, start: Start, api: KubeApi) -> None:
    assert release("1").code == 0
    moment = Moment(api, *STEPS["a pod is asked"])
    process = start(*NEW)
    moment.wait()
    refused = release("3")
    moment.go_on()
    _, err = process.communicate(timeout=60)
    assert refused.code == 6
    assert re.search(
        r"waiting \d+ s to see whether \S+ \w+, which holds the Lease demo-release, is at work", refused.err
    )
    assert "has been changing demo since" in refused.error
    assert process.returncode == 0, err
    assert serving(api) == {"reg.local/ic:2"}


def test_a_silent_holder_is_taken_over_without_comparing_clocks(release: Run, api: KubeApi) -> None:
    future = datetime.now(UTC).replace(year=2999).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "somebody dead", "leaseDurationSeconds": 1, "renewTime": future}
    api.objects.put("leases", {"metadata": {"name": "demo-release"}, "spec": spec})
    assert release("1").code == 0
    assert api.objects.get("leases", "demo-release")["spec"]["holderIdentity"] == ""  # type: ignore[index]
