"""What was proved stays findable, and state and names belong to one release: never to its namesake or successor."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.integration.k8s.conftest import Run
from tests.integration.k8s.records import serving, statuses
from tests.integration.k8s.releases.test_canary import ROUTED
from tests.kubeapi.server import KubeApi


def test_a_proved_revision_outlives_a_canary_in_many_steps(release: Run, k8s: Run, api: KubeApi) -> None:
    assert release("1", *ROUTED).code == 0
    assert k8s("canary", "demo", "--weight", "5", "--image", "reg.local/ic:2", "--slo", "none").code == 0
    for weight in ("10", "25", "50", "100"):
        assert k8s("canary", "demo", "--weight", weight).code == 0
    assert k8s("promote", "demo").code == 0
    assert len(statuses(api)) == 11  # the newest ten, and the proved one
    back = k8s("rollback", "demo", "--output", "json")
    assert back.code == 0, back.err
    assert json.loads(back.out)["target"] == 1
    assert serving(api) == {"reg.local/ic:1"}


def test_a_rollback_says_that_nothing_was_proved(release: Run, k8s: Run, api: KubeApi) -> None:
    for tag in ("1", "2", "3"):
        assert release(tag).code == 0
    for revision in (1, 2):
        api.objects.delete("secrets", f"sh.helm.release.v1.demo.v{revision}")
    done = k8s("rollback", "demo")
    assert done.code == 1
    assert done.error.startswith("no earlier revision of demo is known to have passed its checks; name one")
    assert serving(api) == {"reg.local/ic:3"}


def test_a_rollback_to_an_unproved_revision_does_not_make_it_proved(
    release: Run, k8s: Run, api: KubeApi, helm: str
) -> None:
    assert release("1").code == 0
    image = "image.registry=reg.local,image.repository=ic,image.tag=3"
    subprocess.run(
        [helm, "upgrade", "demo", "helm/image-classifier", "--set-string", image], check=True, capture_output=True
    )
    assert release("2").code == 0
    assert k8s("rollback", "demo", "2").code == 0
    assert serving(api) == {"reg.local/ic:3"}
    assert release("2").code == 0
    assert json.loads(k8s("rollback", "demo", "--output", "json").out)["target"] == 3


def test_a_lease_of_an_uninstalled_release_blesses_no_revision_of_the_next(
    release: Run, k8s: Run, api: KubeApi, helm: str
) -> None:
    for tag in ("1", "2", "3"):
        assert release(tag).code == 0
    subprocess.run([helm, "uninstall", "demo"], check=True, capture_output=True)
    for tag in ("wrong", "2"):
        values = f"image.registry=reg.local,image.repository=ic,image.tag={tag}"
        command = [helm, "upgrade", "--install", "demo", "helm/image-classifier", "--set-string", values]
        subprocess.run(command, check=True, capture_output=True)
    done = k8s("rollback", "demo")
    assert done.code == 1
    assert "no earlier revision of demo is known to have passed its checks" in done.error
    assert serving(api) == {"reg.local/ic:2"}


def test_a_release_that_is_called_like_a_candidate_is_left_alone(release: Run, k8s: Run, api: KubeApi) -> None:
    assert k8s("release", "demo-candidate", "--image", "reg.local/ic:3", "--slo", "none").code == 0
    done = release("1")
    assert done.code == 1
    assert (
        done.error == "demo-candidate is a release of its own, and demo needs that name for its candidate; rename one"
    )
    assert statuses(api) == {}
    assert statuses(api, "demo-candidate") == {1: "deployed"}


@pytest.mark.parametrize("driver", ["configmap", "sql"])
def test_records_that_are_no_secrets_are_refused(release: Run, monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    monkeypatch.setenv("HELM_DRIVER", driver)
    assert release("1").error == f"HELM_DRIVER={driver}: helm's records must be Secrets; unset it"
