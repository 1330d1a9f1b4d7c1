"""A training Job from the command line: it is followed, and the command exits with the training's code."""

from __future__ import annotations

import pytest
import yaml

from k8s.jobs import following
from tests.integration.k8s.clock import Clock
from tests.integration.k8s.conftest import Done, Run
from tests.kubeapi.pods import Fate
from tests.kubeapi.roles import Permission, permissions
from tests.kubeapi.server import KubeApi

TRAIN = ("train", "photos", "--store-claim", "store", "--data-claim", "photos")


@pytest.fixture
def train(k8s: Run, api: KubeApi) -> Run:
    for claim in ("store", "photos"):
        api.objects.put("persistentvolumeclaims", {"metadata": {"name": claim}, "spec": {}})
    log = "epoch 1\nimage_classifier:abcd\nPublished it.\n"
    api.fates |= {"reg.local/t:1": Fate("0", log=log), "reg.local/t:bad": Fate("3", log="error: not published\n")}
    allowed = permissions("image-classifier-train")
    api.allowed = lambda *permission: permission in allowed

    def run(tag: str, *options: str) -> Done:
        return k8s(*TRAIN, "--image", f"reg.local/t:{tag}", *options)

    return run


def test_a_training_is_followed_to_its_end(train: Run, api: KubeApi) -> None:
    done = train("1", "--", "--epochs", "3")
    assert done.code == 0, done.err
    assert "epoch 1" in done.err
    assert done.out == "job photos is complete: image_classifier:abcd\n"
    container = api.objects.all("jobs")[0]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["--data", "/data", "--epochs", "3"]
    again = train("1")
    assert again.code == 1
    assert "job photos has already ended; choose another NAME" in again.error


def test_the_trainings_exit_code_is_passed_on(train: Run) -> None:
    done = train("bad")
    assert done.code == 3
    assert done.err.endswith("error: job photos failed: exit code 3: error: not published\n")


def test_a_missing_image_is_named(train: Run) -> None:
    done = train("none")
    assert done.code == 3
    assert "job photos can't start: ErrImageNeverPull: reg.local/t:none" in done.error


def test_a_rule_that_lets_no_pod_be_made_is_named(train: Run, api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(following, "time", clock)
    api.most_pods = 0
    done = train("1")
    assert done.code == 3
    why = "exceeded quota: few, used: pods=0, limited: pods=0"
    assert "job photos can't start: no pod can be created: Error creating: pods " in done.error
    assert done.error.endswith(f"{why}; delete it: kubectl delete job photos --namespace default --context stub")
    assert f"{why}\n" in done.err  # at once
    assert 60 <= clock.now < 80


def test_a_dry_run_prints_the_manifest(train: Run, api: KubeApi) -> None:
    done = train("1", "--dry-run")
    assert yaml.safe_load(done.out)["kind"] == "Job"
    assert "&" not in done.out
    assert api.objects.all("jobs") == []


def test_several_workers_get_a_service_owned_by_the_job_and_worker_0_is_followed(train: Run, api: KubeApi) -> None:
    done = train("1", "--workers", "3")
    assert done.code == 0, done.err
    assert done.err.count("epoch 1") == 1
    assert done.out == "job photos is complete: image_classifier:abcd\n"
    (job,), (service,) = api.objects.all("jobs"), api.objects.all("services")
    assert service["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": "photos"}


def test_the_error_names_the_exit_of_the_worker_at_fault(train: Run) -> None:
    done = train("bad", "--workers", "2")
    assert done.code == 3
    assert done.err.endswith("error: job photos failed: exit code 3: error: not published\n")


def test_a_dry_run_of_several_workers_prints_job_and_service(train: Run, api: KubeApi) -> None:
    done = train("1", "--workers", "2", "--dry-run")
    assert [document["kind"] for document in yaml.safe_load_all(done.out)] == ["Job", "Service"]
    assert "&" not in done.out
    assert api.objects.all("jobs") == []
    assert train("1", "--workers", "0").error == "--workers 0: must be 1 to 1000"


@pytest.mark.parametrize(
    ("permission", "named"),
    [(("create", "batch", "jobs"), "create jobs.batch"), (("get", "", "pods/log"), "get pods/log")],
)
def test_missing_permissions_are_named(train: Run, api: KubeApi, permission: Permission, named: str) -> None:
    allowed = permissions("image-classifier-train") - {permission}
    api.allowed = lambda *asked: asked in allowed
    done = train("1")
    assert done.code == 5
    assert f"has no permission to {named} in namespace default" in done.error


def test_a_job_that_keeps_logging_is_left_running_when_the_time_is_up(train: Run, api: KubeApi) -> None:
    api.fates["reg.local/t:long"] = Fate("ready", log="epoch 1 of 1000\n", endless=True)
    done = train("long", "--timeout", "2s")
    assert done.code == 3
    assert done.error == "job photos hasn't ended after 2 s (--timeout); it keeps running"
    assert "epoch 1 of 1000" in done.err
