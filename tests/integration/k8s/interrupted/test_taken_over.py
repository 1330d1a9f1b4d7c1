"""Whoever lost the lock touches nothing, undo and candidate included, and success is claimed only for what runs."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.integration.k8s.conftest import Run
from tests.integration.k8s.interrupted.test_interrupted import NEW, STEPS, Moment, age_lease
from tests.integration.k8s.records import leftovers, serving, statuses
from tests.kubeapi.pods import Fate
from tests.kubeapi.server import KubeApi

Start = Callable[..., subprocess.Popen[str]]


@pytest.mark.parametrize("step", ["the candidate's pods are awaited", "the release's pods are awaited"])
def test_a_holder_that_stalled_leaves_the_next_ones_release_alone(
    release: Run, start: Start, api: KubeApi, step: str
) -> None:
    assert release("1").code == 0
    moment = Moment(
        api, *(STEPS | {"the release's pods are awaited": ("PUT", "/secrets/sh.helm.release.v1.demo.v2")})[step]
    )
    process = start(*NEW, "--golden", "none")
    moment.wait()
    process.send_signal(signal.SIGSTOP)
    moment.go_on()
    if "release's" in step:
        while statuses(api).get(2) != "deployed":  # helm isn't stalled
            time.sleep(0.05)
    age_lease(api)
    done = release("3")
    assert done.code == 0, done.err
    revisions = statuses(api)
    api.fates["reg.local/ic:2"] = Fate("crash")  # a reason to undo
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 6, err
    assert "another command is changing demo, so this one has stopped" in err
    assert serving(api) == {"reg.local/ic:3"}
    assert statuses(api) == revisions
    assert leftovers(api) == []


def test_a_stalled_holder_does_not_remove_the_candidate_of_the_next_one(
    release: Run, start: Start, api: KubeApi
) -> None:
    assert release("1").code == 0
    moment = Moment(api, *STEPS["the candidate's pods are awaited"])
    stalled = start(*NEW)
    moment.wait()
    stalled.send_signal(signal.SIGSTOP)
    moment.go_on()
    age_lease(api)
    second = Moment(api, *STEPS["a pod is asked"])
    next_one = start("release", "demo", "--image", "reg.local/ic:3", "--slo", "none")
    second.wait()
    stalled.send_signal(signal.SIGCONT)
    _, err = stalled.communicate(timeout=60)
    assert stalled.returncode == 6, err
    assert leftovers(api)
    second.go_on()
    _, err = next_one.communicate(timeout=60)
    assert next_one.returncode == 0, err
    assert serving(api) == {"reg.local/ic:3"}


def by_somebody_else(api: KubeApi, act: Callable[[], None]) -> None:
    """Do something once the release's pods are asked."""
    done = list[bool]()

    def see(method: str, path: str) -> None:
        if path.endswith("/portforward") and "candidate" not in path and not done:
            done.append(True)
            act()

    api.on_request = see


def test_a_release_that_helm_changed_meanwhile_is_no_success_and_is_left_alone(
    release: Run, api: KubeApi, helm: str
) -> None:
    assert release("1").code == 0

    def change() -> None:
        subprocess.run([helm, "rollback", "demo", "1"], check=True, capture_output=True)

    by_somebody_else(api, change)
    done = release("2")
    assert done.code == 6
    assert "revision 2 isn't the newest any more" in done.error
    assert serving(api) == {"reg.local/ic:1"}
    assert max(statuses(api)) == 3


def test_another_image_in_the_deployment_is_no_success_and_is_undone(release: Run, api: KubeApi) -> None:
    assert release("1").code == 0

    def change() -> None:
        with api.objects.lock:
            (found,) = (d for d in api.objects.all("deployments") if "candidate" not in d["metadata"]["name"])
            found["spec"]["template"]["spec"]["containers"][0]["image"] = "reg.local/ic:3"

    by_somebody_else(api, change)
    done = release("2")
    assert done.code == 3
    assert "server has been given another image than the release's: reg.local/ic:3; rolled back" in done.error
    assert serving(api) == {"reg.local/ic:1"}
