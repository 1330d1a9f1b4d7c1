"""Every verb, the error messages and the recovery of a killed helm, with Helm 3."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.chart.conftest import helm_path
from tests.integration.k8s.conftest import Run
from tests.integration.k8s.interrupted.test_interrupted import NEW, STEPS, Moment, age_lease, kill_all
from tests.integration.k8s.records import leftovers, serving, statuses
from tests.kubeapi.server import KubeApi


@pytest.fixture(scope="session")
def helm() -> str:
    """Helm 3, for all fixtures of this module."""
    return helm_path("3")


def test_every_verb_works(release: Run, k8s: Run, api: KubeApi) -> None:
    assert release("1", "--set", "replicaCount=3", "--dry-run").code == 0
    assert statuses(api) == {}
    done = release("1", "--set", "replicaCount=3")
    assert done.code == 0, done.err
    bad = release("crash")
    assert (bad.code, bad.error.endswith("demo is unchanged")) == (3, True)
    done = k8s("canary", "demo", "--weight", "25", "--image", "reg.local/ic:2", "--slo", "none")
    assert done.code == 0, done.err
    assert serving(api, "canary") == {"reg.local/ic:2"}
    done = k8s("promote", "demo")
    assert done.code == 0, done.err
    assert serving(api) == {"reg.local/ic:2"}
    assert k8s("rollback", "demo").code == 0
    assert serving(api) == {"reg.local/ic:1"}
    assert "there was nothing to abort" in k8s("abort", "demo").out
    assert "server: 3 of 3 ready, 3 updated" in k8s("status", "demo", "--interval", "0").out
    assert k8s("manifests", "--image", "reg.local/ic:2").out.startswith("# Rendered from the chart")
    assert leftovers(api) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "replicaCount=two"), "chart values: replicaCount: "),
        (("--set", "replicas=2"), "chart values: values: "),
        (("--set", "replicaCount"), 'helm: failed parsing --set data: key "replicaCount" has no value'),
        (("--chart", "./nowhere"), "nowhere"),
    ],
)
def test_a_mistake_is_one_line(release: Run, api: KubeApi, options: tuple[str, ...], said: str) -> None:
    done = release("1", *options)
    assert done.code == 1
    assert said in done.error
    assert statuses(api) == {}


def test_a_release_that_a_killed_helm_left_is_recovered(
    release: Run, start: Callable[..., subprocess.Popen[str]], api: KubeApi
) -> None:
    assert release("1").code == 0
    moment = Moment(api, *STEPS["helm upgrades the release"])
    process = start(*NEW)
    moment.wait()
    kill_all(process)
    moment.go_on()
    assert statuses(api) == {1: "deployed", 2: "pending-upgrade"}
    age_lease(api)
    done = release("3")
    assert done.code == 0, done.err
    assert serving(api) == {"reg.local/ic:3"}
    assert set(statuses(api).values()) <= {"superseded", "deployed"}
